"""The stages; each reads and leaves files of one run.

Import a stage from its own module (``from cllm4rec.stages.prepare import prepare``): nothing is
loaded here, so that ``prepare`` starts without torch.
"""
