"""breakcow: does this kernel share and unshare memory pages the way it promised?"""

__version__ = "0.1.0"
