"""Folders, archives and repositories that try to fool or to harm whoever reads them.

Each holds an honest step 01, whose points it keeps, and a step 03 that has to come to nothing:
where it leads somewhere, then to a right one, which would get points.
"""

import io
import os
import stat
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tutor import ROOT
from tutor.course import sources
from tutor.course.names import named

Write = Callable[[Path], None]  # a submission of this name, to which an archive adds its suffix

FIRST, THIRD = "steps/step_01.py", "steps/step_03.py"
HONEST, RIGHT = (sources.reference(named(name), "steps") for name in ("step_01", "step_03"))


def folder(place: Path, files: dict[str, str]) -> None:
    """A folder with an honest step 01 and these files."""
    for name, text in ({FIRST: HONEST} | files).items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


def beside_the_class(place: Path) -> Path:
    """Where something lies that belongs to a submission, but not to its class."""
    return place.parent.with_name(f"of-{place.name}")


# Folders


def with_links(place: Path) -> None:
    folder(place, {"right/steps/step_03.py": RIGHT})
    (place / THIRD).symlink_to(place / "right" / THIRD)
    (place / "steps" / "more").symlink_to(ROOT / "solutions")


def with_a_linked_folder(place: Path) -> None:
    folder(beside_the_class(place), {THIRD: RIGHT})
    place.mkdir()
    (place / "steps").symlink_to(beside_the_class(place) / "steps")


def with_a_pipe(place: Path) -> None:
    folder(place, {})
    os.mkfifo(place / THIRD)


def with_files_for_tools(place: Path) -> None:
    """What pytest and Python run by themselves where they find it."""
    attack = "import os, pytest\nprint('BREACHED')\npytest.main = lambda *_, **__: 0\nos._exit(0)\n"
    names = ["conftest.py", "sitecustomize.py", "usercustomize.py", "numpy.py", "max.py"]
    beside = [f"{place}{name}" for place in ("", "steps/") for name in names]
    more = ["tutor/__init__.py", "tests/conftest.py", "steps/tutor/__init__.py"]
    folder(place, dict.fromkeys([*beside, *more], attack))
    folder(place, {"pytest.ini": "[pytest]\naddopts = --collect-only\n"})
    folder(place, {"steps/attack.pth": "import os; os._exit(0)\n"})


def with_a_package(place: Path) -> None:
    """Code where the course has its own."""
    folder(place, {"steps/__init__.py": "print('BREACHED')\nraise SystemExit(0)\n"})


def with_names(place: Path) -> None:
    """Files whose names break lines, terminals and encodings."""
    folder(place, {})
    for name in (
        b"a\nb.py",
        b"\x1b[2J.py",
        b"caf\xe9.py",
        b"x" * 240 + b".py",
        b"=cmd.py",
        b" .py",
    ):
        (place / "steps" / os.fsdecode(name)).write_text("x = 1\n")


# Archives


def tar(place: Path, *members: tarfile.TarInfo) -> None:
    """An archive with an honest step 01, and members whose content is that of a right step 03."""
    with tarfile.open(f"{place}.tar.gz", "w:gz") as archive:
        for member in (tarfile.TarInfo(FIRST), *members):
            text = (HONEST if member.name == FIRST else RIGHT).encode()
            member.size = len(text) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(text))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def tar_of_links(place: Path) -> None:
    tar(
        place,
        member("right.py"),
        member(THIRD, tarfile.SYMTYPE, "../right.py"),
        member("steps/step_04.py", tarfile.LNKTYPE, str(ROOT / "solutions/solution_04.py")),
        member("steps/step_05.py", tarfile.LNKTYPE, "right.py"),
    )


def tar_of_paths(place: Path) -> None:
    above = "/".join([".."] * 30)
    tar(place, *map(member, [f"../{THIRD}", f"/{THIRD}", f"{above}{place}/{THIRD}"]))


def tar_of_devices(place: Path) -> None:
    kinds = {"03": tarfile.FIFOTYPE, "04": tarfile.CHRTYPE, "05": tarfile.BLKTYPE, "06": b"Z"}
    tar(place, *(member(f"steps/step_{number}.py", kinds[number]) for number in kinds))


def tar_of_names(place: Path) -> None:
    names = [
        "a\nb",
        "\x1b[2J",
        "caf\udce9",
        "x" * 5000,
        "=cmd",
        "step_01.py",
        "d/" * 500 + "e",
        "..",
    ]
    zero = member("steps/step_02.py")
    zero.pax_headers = {"path": "steps/a\0b/step_03.py"}
    tar(place, zero, *(member(f"steps/{name}/step_03.py") for name in names))


def tar_bomb(place: Path) -> None:
    with tarfile.open(f"{place}.tar.gz", "w:gz") as archive:
        huge = member("steps/step_03.py")
        huge.size = 300 * 2**20
        with Path("/dev/zero").open("rb") as zeros:
            archive.addfile(huge, zeros)


def header_bomb(place: Path, digits: int = 300_000) -> None:
    """A header that costs tarfile the square of its length."""
    header = member("x", tarfile.XHDTYPE)
    header.size = digits
    Path(f"{place}.tar").write_bytes(header.tobuf(tarfile.USTAR_FORMAT) + b"1" * digits)


def make_zip(place: Path, files: Mapping[str, str | bytes], mode: int = 0) -> None:
    with zipfile.ZipFile(f"{place}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FIRST, HONEST)
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)


def zip_of_links(place: Path) -> None:
    make_zip(place, {THIRD: str(ROOT / "solutions" / "solution_03.py")}, stat.S_IFLNK | 0o777)


def zip_of_paths(place: Path) -> None:
    make_zip(
        place, dict.fromkeys([f"../{THIRD}", f"/{THIRD}", f"..\\{THIRD}", f"C:\\{THIRD}"], RIGHT)
    )


def zip_of_names(place: Path) -> None:
    names = ["a\nb", "x" * 5000, "step_01.py", "=cmd", "con", "d/" * 3000 + "e"]
    make_zip(place, {f"steps/{name}/step_03.py": RIGHT for name in names} | {"steps/a\x07.py": ""})


def zip_with_a_zero_in_a_name(place: Path) -> None:
    """A name that zipfile cannot write, put in afterwards."""
    make_zip(place, {"steps/a?b/step_03.py": RIGHT})
    file = Path(f"{place}.zip")
    file.write_bytes(file.read_bytes().replace(b"a?b", b"a\0b"))


def zip_bomb(place: Path) -> None:
    make_zip(place, {THIRD: bytes(500 * 2**20)})


def zip_of_many_bombs(place: Path) -> None:
    """Each is as large as a file may be, and a few of them are too much."""
    make_zip(place, {f"data/part_{count}.py": bytes(2**20) for count in range(40)})


def zip_of_too_many(place: Path) -> None:
    with zipfile.ZipFile(f"{place}.zip", "w") as archive:
        for count in range(50_001):
            archive.writestr(zipfile.ZipInfo(str(count)), b"")


def zip_with_a_wrong_size(place: Path) -> None:
    """An archive whose list says that a file of 5 MB has 9 bytes."""
    make_zip(place, {THIRD: bytes(5 * 2**20)})
    file = Path(f"{place}.zip")
    small = struct.pack("<L", 9)
    file.write_bytes(file.read_bytes().replace(struct.pack("<L", 5 * 2**20), small))


def no_archive(place: Path) -> None:
    Path(f"{place}.zip").write_bytes(b"PK\3\4" + bytes(range(256)))


# Repositories


def git(place: Path, *command: str, given: str = "") -> str:
    who = {"GIT_AUTHOR_NAME": "eve", "GIT_AUTHOR_EMAIL": "e@example.org"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, **who}
    done = subprocess.run(
        ["git", f"--git-dir={place}", *command],  # noqa: S607
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def repository(place: Path, files: dict[str, str]) -> None:
    """A bare repository with these files in its last commit."""
    git(place, "init", "--bare", "--initial-branch=main")
    tree = make_tree(place, {name.removeprefix("steps/"): files[name] for name in files})
    commit(place, make_tree(place, {"steps": tree}))


def make_tree(place: Path, entries: dict[str, str]) -> str:
    """A tree of texts, and of trees where the digest of one is given."""
    lines = []
    for name, content in entries.items():
        is_tree = len(content) == 40
        digest = content if is_tree else git(place, "hash-object", "-w", "--stdin", given=content)
        lines.append(f"{'040000 tree' if is_tree else '100644 blob'} {digest}\t{name}\n")
    return git(place, "mktree", "--missing", given="".join(lines))


def commit(place: Path, tree: str) -> None:
    git(place, "update-ref", "refs/heads/main", git(place, "commit-tree", tree, "-m", "all"))


def victim(place: Path) -> Path:
    """Another repository, which is right."""
    other = beside_the_class(place)
    repository(other, {FIRST: HONEST, THIRD: RIGHT})
    return other


def repository_that_runs_things(place: Path, marker: Path) -> None:
    """Settings, hooks and filters that would start a program when files are read or fetched."""
    repository(place, {FIRST: HONEST, ".gitattributes": "*.py filter=run diff=run\n"})
    program = place / "run"
    program.write_text(f"#!/bin/sh\ntouch '{marker}'\n")
    program.chmod(0o755)
    for name in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        (place / "hooks").mkdir(exist_ok=True)
        (place / "hooks" / name).symlink_to(program)
    for name in (
        *("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass"),
        *("filter.run.smudge", "filter.run.clean", "diff.run.textconv", "diff.external"),
        *("core.alternateRefsCommand", "alias.ls-tree", "alias.cat-file", "credential.helper"),
    ):
        git(place, "config", name, str(program))


def repository_that_fetches(place: Path, marker: Path) -> None:
    """A partial clone, whose missing file git would fetch with a program of the owner's choice."""
    repository(place, {FIRST: HONEST, THIRD: RIGHT})
    missing = git(place, "rev-parse", f"main:{THIRD}")
    (place / "objects" / missing[:2] / missing[2:]).unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": str(victim(place)),
        "remote.origin.uploadpack": f"touch '{marker}'; git-upload-pack",
        "protocol.allow": "always",
        "protocol.file.allow": "always",
    }.items():
        git(place, "config", name, value)


def repository_with_alternates(place: Path) -> None:
    repository(place, {FIRST: HONEST})
    other = victim(place)
    (place / "objects/info/alternates").write_text(f"{other}/objects\n")
    (place / "refs/heads/main").write_text(git(other, "rev-parse", "main"))


def repository_with_links(place: Path) -> None:
    repository(place, {FIRST: HONEST})
    other = victim(place)
    for found in (other / "objects").glob("??/*"):
        linked = place / "objects" / found.relative_to(other / "objects")
        linked.parent.mkdir(exist_ok=True)
        linked.unlink(missing_ok=True)
        linked.symlink_to(found)
    (place / "refs/heads/main").unlink()
    (place / "refs/heads/main").symlink_to(other / "refs/heads/main")


def repository_of_another(place: Path) -> None:
    """A folder that has git look for everything elsewhere."""
    other = victim(place)
    (place / "objects").mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/heads/main\n")
    (place / "commondir").write_text(f"{other}\n")


def repository_bomb(place: Path) -> None:
    """A few objects that stand for ten thousand million files."""
    git(place, "init", "--bare", "--initial-branch=main")
    tree = make_tree(place, {f"step_0{digit}.py": HONEST for digit in range(10)})
    for _ in range(9):
        tree = make_tree(place, {f"steps_{digit}": tree for digit in range(10)})
    commit(place, tree)


def submissions(folder: Path) -> dict[str, Write]:
    """How to write all of these, by learner; what they leave behind would be in the folder."""
    marker = folder / "marker"
    return {
        "git-runs": partial(repository_that_runs_things, marker=marker),
        "git-fetches": partial(repository_that_fetches, marker=marker),
        "folder-links": with_links,
        "folder-is-a-link": with_a_linked_folder,
        "folder-pipe": with_a_pipe,
        "folder-tools": with_files_for_tools,
        "folder-package": with_a_package,
        "folder-names": with_names,
        "tar-links": tar_of_links,
        "tar-paths": tar_of_paths,
        "tar-devices": tar_of_devices,
        "tar-names": tar_of_names,
        "tar-bomb": tar_bomb,
        "zip-links": zip_of_links,
        "zip-paths": zip_of_paths,
        "zip-names": zip_of_names,
        "zip-zero": zip_with_a_zero_in_a_name,
        "zip-bomb": zip_bomb,
        "zip-bombs": zip_of_many_bombs,
        "zip-many": zip_of_too_many,
        "zip-wrong-size": zip_with_a_wrong_size,
        "zip-none": no_archive,
        "git-alternates": repository_with_alternates,
        "git-links": repository_with_links,
        "git-of-another": repository_of_another,
        "git-bomb": repository_bomb,
    }
