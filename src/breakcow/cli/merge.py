"""`breakcow merge`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def merge(*results: Path, json: Path | None = None, markdown: Annotated[Path | None, Parameter(name="--markdown")] = None) -> int:
    """Merge the results of conform from several machines, shards or kernels, and print them. Exit status 1 if a program differed.

    Parameters
    ----------
    results
        Files that `breakcow conform --json` wrote.
    json
        Write the merged results to this file.
    markdown
        Write them to this file as a page of documentation.
    """
    from breakcow.cli.say import BROKEN, OK, WrongUseError
    from breakcow.conform import result
    from breakcow.report.conformance import page, words

    if not results:
        raise WrongUseError("name files that `breakcow conform --json FILE` wrote")
    try:
        merged = result.merge(one for path in results for one in result.read(path))
    except result.BadResultError as error:
        raise WrongUseError(str(error)) from None
    for one in merged:
        print(words(one))
    if json:
        result.write(json, merged)
    if markdown:
        markdown.write_text(page(merged))
    return BROKEN if any(one.differences for one in merged) else OK
