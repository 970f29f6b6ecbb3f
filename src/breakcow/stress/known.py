"""Which broken promises of a stress run are no news: causes that the agent has established, and the fix or the report of each."""

from dataclasses import dataclass

from breakcow.suite.release import predates


@dataclass(frozen=True, slots=True)
class Known:
    """A bug. what: in a sentence. fixed, commit: the release and commit that mended it; report: ours of a bug that nobody has mended."""

    what: str
    fixed: str = ""
    commit: str = ""
    report: str = ""

    def excuse(self, release: str) -> str:
        """Why it is no news on a kernel of that release; empty if it is."""
        if self.report:
            return f"no kernel has fixed it: {self.report}"
        return f"fixed in {self.fixed} ({self.commit})" if predates(release, self.fixed) else ""


KNOWN = {  # by the names of breakcow.agent.stress_slots.CAUSES and .stress
    "merge-drops-uffd-wp": Known(
        "a protected page whose frame ksmd had changed was stored to without an event", report="docs/finds/ksm-merge-drops-uffd-wp.md"
    ),
    "merge-drops-uffd-wp-just-now": Known(
        "the same, where ksmd can only have merged the page between the last look at it and the store",
        report="docs/finds/ksm-merge-drops-uffd-wp.md",
    ),
    "merge-drops-soft-dirty": Known(
        "a page that was stored to, and whose frame ksmd had changed, read clean", report="docs/finds/ksm-merge-drops-soft-dirty.md"
    ),
    "unmerge-uffd-wp": Known("MADV_UNMERGEABLE left a KSM page that userfaultfd write-protects", fixed="6.2", commit="6cce3314b928"),
    "unmerge-zero-page": Known("MADV_UNMERGEABLE left a zero page that KSM had placed", fixed="6.6", commit="79271476b336"),
    "shared-with-mergeable": Known(
        "a page shared since fork became a KSM page by another process's doing after MADV_UNMERGEABLE",
        report="docs/finds/ksm-shares-with-unmergeable.md",
    ),
    "fork-skips-read-page": Known(
        "a page that was only read, in memory that nobody had written, lost its protection by fork", fixed="5.19", commit="c56d1b62cce8"
    ),
    "zero-pages-miscounted": Known(
        "ksm_zero_pages did not come back: fork and ksmd race for it", report="docs/finds/ksm-zero-pages-fork-race.md"
    ),
}


def excuse(cause: str, release: str) -> str:
    """Why a broken promise with this cause is no news on a kernel of that release; empty if it is, as without a cause."""
    return KNOWN[cause].excuse(release) if cause in KNOWN else ""
