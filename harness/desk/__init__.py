"""The desk: local pages to label outputs and to compare systems blindly.

door         who may come in: loopback, token, origin, policy
journal      an append-only file of JSON lines, on the disk when an answer is acknowledged
labels       what people said of outputs        votes        which of two answers they preferred
outputs      the outputs of a stored run        queues       in which order they are shown
label_desk   `rung label`                       review_desk  `rung review`
progress     counts, and what is still missing  preferences  what the votes say
exports      the files that labels become       pages        templates, and text made safe to show
evidence     labels held against one run        calibrating  judges held against labels
verdicts     a verdict with the labels so far   judged_pairs a judge's votes on a review's pairs
"""
