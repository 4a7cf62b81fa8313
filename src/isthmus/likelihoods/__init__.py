"""p(x | h): one file per family, one registry for all.

| name | distribution | of | predicted from the code; learned |
|---|---|---|---|
| ``gaussian`` | normal, σ per feature | real numbers in any units | μ; log σ |
| ``gaussian_shared`` | normal, one σ for all | real numbers of one kind, pixels | μ; log σ |
| ``gaussian_ranked`` | normal after a map by ranks | real numbers with heavy tails | μ; log σ |
| ``laplace`` | Laplace, scale per feature | real numbers with outliers | median; log b |
| ``student_t`` | Student's t, ν = 4 | real numbers with far outliers | μ; log σ |
| ``bernoulli`` | Bernoulli | 0 and 1 | logit |
| ``continuous_bernoulli`` | continuous Bernoulli | [0, 1] | logit |
| ``categorical`` | categorical | level codes 0 … K − 1 | K logits |
| ``poisson`` | Poisson | counts | log μ |
| ``negative_binomial`` | negative binomial | over-dispersed counts | log μ; log θ |
| ``zero_inflated_negative_binomial`` | with extra zeros | counts | log μ, logit π; log θ |
| ``multinomial`` | multinomial | word counts of documents | logit |
| `Columns` | one of these per column, but the last | tables, with missing cells | all of theirs |
"""

from isthmus._registry import Registry
from isthmus.likelihoods._likelihood import Eta, Likelihood, Parameter, Support, Traits, suggest
from isthmus.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli
from isthmus.likelihoods.categorical import Categorical
from isthmus.likelihoods.columns import Columns
from isthmus.likelihoods.counts import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from isthmus.likelihoods.gaussian import Gaussian
from isthmus.likelihoods.laplace import Laplace
from isthmus.likelihoods.multinomial import Multinomial
from isthmus.likelihoods.student import StudentT

LIKELIHOODS: Registry[Likelihood] = Registry(
    "likelihood",
    Likelihood,  # type: ignore[type-abstract]  # mypy wants a concrete class where isinstance does not
    {
        "gaussian": Gaussian,
        "gaussian_shared": lambda: Gaussian("shared"),
        "gaussian_ranked": lambda: Gaussian(ranked=True),
        "laplace": Laplace,
        "student_t": StudentT,
        "bernoulli": Bernoulli,
        "continuous_bernoulli": ContinuousBernoulli,
        "categorical": Categorical,
        "poisson": Poisson,
        "negative_binomial": NegativeBinomial,
        "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
        "multinomial": Multinomial,
    },
    composites=(Columns,),
)

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "Columns",
    "ContinuousBernoulli",
    "Eta",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "Multinomial",
    "NegativeBinomial",
    "Parameter",
    "Poisson",
    "StudentT",
    "Support",
    "Traits",
    "ZeroInflatedNegativeBinomial",
    "suggest",
]
