"""Run the course's Python on a CPU that you do not have, emulated by QEMU.

    python -m tools.kernels.emulate Haswell -m tutor check 7 --tree solutions
    python -m tools.kernels.emulate neoverse-n1 -c "import platform; print(platform.machine())"

The CPU is one that `qemu-x86_64 -cpu help` lists, or one of two for Arm. The first run for Arm
fetches Python for aarch64 from Debian and the course's packages, 1.8 GB in `build/aarch64`.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tutor import ROOT

ARM = ROOT / "build" / "aarch64"
ARM_CPUS = ("cortex-a76", "neoverse-n1")  # MAX itself stops at the first import on older ones
EMULATED = "EMULATED_CPU"  # the variable that tells an emulated process which CPU it has


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    python = str(python_on(sys.argv[1]))
    os.execv(python, [python, *sys.argv[2:]])  # noqa: S606 (a program of ours)


def python_on(cpu: str) -> Path:
    """A program that is Python on that CPU, and so are the processes that it starts."""
    if cpu in ARM_CPUS:
        install_arm()
        emulator = ["qemu-aarch64", "-L", str(ARM / "root")]
        python, home, packages = arm_python(), ARM / "root" / "usr", ARM / "site"
    else:
        emulator = ["qemu-x86_64"]
        python, home = Path(sys.executable).resolve(), Path(sys.base_prefix)
        packages = Path(sysconfig.get_path("purelib"))
    need(emulator[0], "qemu-user")
    # Python starts others by the name it was called by, so these are emulated, too.
    program = ROOT / "build" / "emulated" / cpu / "python"
    program.parent.mkdir(parents=True, exist_ok=True)
    partial = program.with_name(f"python.{os.getpid()}")  # others may do this at the same time
    partial.write_text(
        "#!/bin/sh\n"
        f"export {EMULATED}={shlex.quote(cpu)}\n"
        f"export PYTHONHOME={shlex.quote(str(home))}\n"
        f"export PYTHONPATH={shlex.quote(f'{ROOT}:{packages}')}${{PYTHONPATH:+:$PYTHONPATH}}\n"
        f'exec {shlex.join([*emulator, "-cpu", cpu])} -0 "$0" {shlex.quote(str(python))} "$@"\n'
    )
    partial.chmod(0o755)
    partial.replace(program)
    return program


def install_arm() -> None:
    """Set up Python and the course's packages for aarch64 where they are missing or outdated."""
    root, installed, project = ARM / "root", ARM / "installed", ROOT / "pyproject.toml"
    if not root.exists():
        for package in fetch_debian_packages():
            run("dpkg-deb", "--extract", str(package), str(ARM / "root.partial"))
        (ARM / "root.partial").rename(root)
    if not installed.exists() or installed.stat().st_mtime < project.stat().st_mtime:
        version = arm_python().name.removeprefix("python")
        target = ["--python-version", version, "--python-platform", "aarch64-manylinux_2_34"]
        target += ["--only-binary", ":all:", "--target", str(ARM / "site")]
        run("uv", "pip", "install", *target, "--editable", str(ROOT))
        installed.touch()


def fetch_debian_packages() -> list[Path]:
    """Download Python for aarch64 and all that it needs, and leave this system as it is."""
    folder = ARM / "apt"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "Dir::State": folder,
        "Dir::State::status": os.devnull,  # as if nothing were installed
        "Dir::Cache": folder,
    }
    apt = ["apt-get", "--yes", *(f"--option={key}={value}" for key, value in settings.items())]
    run(*apt, "update")
    run(*apt, "install", "--download-only", "--no-install-recommends", "python3", "libstdc++6")
    return sorted((folder / "archives").glob("*.deb"))


def arm_python() -> Path:
    return (ARM / "root" / "usr" / "bin" / "python3").resolve()


def run(program: str, *arguments: str) -> None:
    need(program, program)
    subprocess.run([program, *arguments], env=dict(os.environ), check=True)


def need(program: str, package: str) -> None:
    if not shutil.which(program):
        raise SystemExit(f"{program} is missing; install {package}")


if __name__ == "__main__":
    main()
