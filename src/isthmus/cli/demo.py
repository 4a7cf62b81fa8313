"""The verb ``demo``: a first look, from raw data to a model and its pictures."""

from pathlib import Path

from isthmus.cli import options
from isthmus.cli.show import show


def demo(output: options.DemoFolder = "isthmus-demo", quiet: options.Quiet = False) -> None:
    """Train four autoencoders on handwritten digits and report what they do.

    Models, figures and a report with pictures are written to a folder.
    """
    from isthmus._errors import InvalidParameterError

    folder = Path(output)
    if not folder.parent.is_dir():
        raise InvalidParameterError(
            f"{output} can't be made: there is no folder {folder.parent}. Make it first."
        )
    from isthmus.demo import run

    show(run(folder, verbose=not quiet))
