"""Does a code help? Raw features against PCA, random projection and the codes of autoencoders.

Rows with labels are divided in three: 60 % to learn from, 10 % to choose by, 30 % to measure on
(rows without a label are learned from too). Every representation but the fine-tuned one learns
without the labels; then a linear model, neighbours and boosted trees learn the label from it. The
rule of
`isthmus.comparison.rule` makes a sentence of the numbers, and says "use the raw features" when it
is so. Without labels there is the other half: what comes back through each code, how its units are
used, and a map.

    found = compare(X, y)
    print(found.sentence)
    found.write("report.html")

| file | what it does |
|---|---|
| `rows`, `labels` | draw and divide the rows; read the labels, look for leaks |
| `features` | raw features for scikit-learn |
| `representations`, `judges` | what is compared, and by whom |
| `measure`, `rule`, `units` | the figures, the sentence, and how codes are used |
| `maps` | the test rows in the plane |
| `pages`, `pictures` | one HTML file that needs nothing else |
"""

from isthmus.comparison.run import Comparison, Settings, compare

__all__ = ["Comparison", "Settings", "compare"]
