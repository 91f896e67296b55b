"""What item texts are worth by the size of a log: few users, then more.

Users are held out of training altogether; a fifth of what each has is to be found from the rest.
The linear model learns from the histories of 25 other users, of 50, and so on, without texts and
with texts in several readings. Three random orders of users; each row's setting is chosen on other
held-out users, once for all three.
"""
