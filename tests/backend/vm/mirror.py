"""A small signed Debian mirror on this machine, for the real apt."""

import hashlib
import io
import os
import subprocess
import tarfile
import threading
from email.utils import formatdate
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

KERNELS = {
    "linux-image-6.1.0-9-cloud-amd64": ("6.1.90-1", "boot/vmlinuz-6.1.0-9-cloud-amd64"),
    "linux-image-6.1.0-10-cloud-amd64": ("6.1.100-1", "boot/vmlinuz-6.1.0-10-cloud-amd64"),
    "linux-image-6.12.43+deb12-cloud-amd64": ("6.12.43-1~bpo12+1", "boot/vmlinuz-6.12.43+deb12-cloud-amd64"),
    "linux-image-6.12.43+deb13-cloud-amd64": ("6.12.43-1", "boot/vmlinuz-6.12.43+deb13-cloud-amd64"),
    "linux-image-7.2.13+deb14-cloud-amd64": ("7.2.13-1", "usr/share/doc/README"),
    "linux-binary-7.2.13+deb14-cloud-amd64": ("7.2.13-1", "usr/lib/modules/7.2.13+deb14-cloud-amd64/vmlinuz"),
    "linux-image-6.1-cloud-amd64": ("6.1.100-1", "usr/share/doc/README"),
    "linux-image-6.1.0-10-cloud-amd64-dbg": ("6.1.100-1", "usr/share/doc/README"),
}


SOURCE = ("linux-source-6.1", "6.1.100-1", "usr/src/linux-source-6.1.tar.xz")
MAKEFILE = """
tinyconfig:
\techo CONFIG_64BIT=y > .config
olddefconfig:
\tgrep -E 'CONFIG_(64BIT|KSM|LOCALVERSION|DEBUG_VM)[= ]' .config > new && mv new .config
bzImage:
\t@echo '  CC      mm/ksm.o'
\tmkdir -p arch/x86/boot && cat mm/ksm.c .config > arch/x86/boot/bzImage
"""


class Mirror:
    """Serves `KERNELS` over http, and `SOURCE`, which make builds at once.

    stall: hold back every .deb. asked: is set when one is asked for.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / "debian"
        self.key = root / "key.asc"
        self._home = root / "gnupg"
        self.stall = threading.Event()
        self.asked = threading.Event()
        self.gone = threading.Event()
        self._build()
        self.sign()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, directory=str(root)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self._server.server_port}/debian"

    def close(self) -> None:
        self.gone.set()
        self._server.shutdown()
        self._server.server_close()
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=True)

    def sign(self) -> None:
        """Sign the suite with a new key, which replaces the one before."""
        suite = self.root / "dists" / "bookworm"
        packages = suite / "main" / "binary-amd64" / "Packages"
        entry = f"{_sha(packages)} {packages.stat().st_size} main/binary-amd64/Packages"
        head = (
            f"Origin: Debian\nSuite: oldstable\nCodename: bookworm\nDate: {formatdate(usegmt=True)}\nArchitectures: amd64\nComponents: main"
        )
        (suite / "Release").write_text(f"{head}\nSHA256:\n {entry}\n")
        (suite / "InRelease").unlink(missing_ok=True)
        self._home.mkdir(mode=0o700, exist_ok=True)
        name = f"test{len(list(self._home.iterdir()))}{os.urandom(4).hex()}@example.org"
        self._gpg("--quick-gen-key", name, "ed25519", "sign", "never")
        self._gpg("--local-user", name, "--output", str(suite / "InRelease"), "--clearsign", str(suite / "Release"))
        self.key.unlink(missing_ok=True)
        self._gpg("--output", str(self.key), "--armor", "--export", name)

    def _gpg(self, *arguments: str) -> None:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    def _build(self) -> None:
        stanzas = []
        (self.root / "pool").mkdir(parents=True)
        kernels = [(name, version, file, name.encode()) for name, (version, file) in KERNELS.items()]
        for number, (name, version, file, data) in enumerate([*kernels, (*SOURCE, _source())]):
            tree = self.root.parent / f"tree{number}"
            for path, content in (("DEBIAN/control", _control(name, version).encode()), (file, data)):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                (tree / path).write_bytes(content)
            deb = self.root / "pool" / f"{name}_{version}_amd64.deb"
            subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
            stanzas.append(f"{_control(name, version)}Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {_sha(deb)}\n")
        packages = self.root / "dists" / "bookworm" / "main" / "binary-amd64" / "Packages"
        packages.parent.mkdir(parents=True)
        packages.write_text("\n".join(stanzas))


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, mirror: Mirror, *arguments: object, **options: object) -> None:
        self.mirror = mirror
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path.endswith(".deb"):
            self.mirror.asked.set()
            if self.mirror.stall.is_set():
                self.mirror.gone.wait()
                return
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def _control(name: str, version: str) -> str:
    return f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: a kernel\n"


def _source() -> bytes:
    """The tar archive of `SOURCE`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as archive:
        for path, text in (("Makefile", MAKEFILE), ("mm/ksm.c", "break_ksm: write\n")):
            member = tarfile.TarInfo(f"linux-source-6.1/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
