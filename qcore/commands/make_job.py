"""``qcore make-job``: write the file of a new job."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from qcore.commands.listing import say
from qcore.commands.project import Project, pass_project
from qcore.errors import ConfigError
from qcore.loading import DEFAULT

if TYPE_CHECKING:
    from qcore.config import Config

_CLASS = '''"""Say in a sentence what {title} is for."""

from __future__ import annotations

from qcore import Job


class {title}(Job):
    """Say in a sentence what this job does."""

    def __init__(self) -> None:
        """Keep what the job needs: ``self.path = path``."""

    {define} handle(self) -> None:
        """Do the work; an exception ends the attempt."""
'''

_FUNCTION = '''"""Say in a sentence what {name} is for."""

from __future__ import annotations

from qcore import job


@job
{define} {name}() -> None:
    """Do the work; an exception ends the attempt."""
'''

_PACKAGE = '"""Jobs: every module here is loaded by `qcore work`."""\n'


class _Place(NamedTuple):
    folders: tuple[str, ...]
    name: str
    """The name of the module, and of a function."""
    title: str
    """The name of a class."""


@click.command("make-job", short_help="Write the file of a new job.")
@click.argument("name")
@click.option("--path", "folder", type=click.Path(file_okay=False, path_type=Path), help="The folder; else jobs/.")
@click.option("--function", is_flag=True, help="Write a function under @job instead of a class.")
@click.option("--async", "is_async", is_flag=True, help="Let it be async.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
@pass_project
def command(project: Project, name: str, folder: Path | None, *, function: bool, is_async: bool, force: bool) -> None:
    """Write the file of a new job NAME: ImportCsv becomes jobs/import_csv.py.

    billing.SendInvoice, or billing/SendInvoice, goes to a folder below.
    """
    config = project.app().config
    place = _place(name)
    base = config.root / DEFAULT if folder is None else folder
    target = _target(base, place)
    define = "async def" if is_async else "def"
    text = (_FUNCTION if function else _CLASS).format(title=place.title, name=place.name, define=define)
    _make_packages(base, place, top=folder is None)
    _write(target, text, force=force)
    say(f"{target} is written.")
    say(_next_step(config, target, place, "the function" if function else "handle()"))


def _place(name: str) -> _Place:
    """Read a name; what could lead out of the folder, or what Python could not import, is none.

    :raises click.UsageError: says what is wrong with it.
    """
    *folders, last = re.split(r"[./]", name)
    modules = [_snake_case(part) for part in (*folders, last)]
    for part, module in zip((*folders, last), modules, strict=True):
        if not part.isidentifier() or part.startswith("_"):
            raise click.UsageError(f"{name!r} is no name for a job: write ImportCsv, or billing.SendInvoice")
        if keyword.iskeyword(part) or keyword.iskeyword(module):
            raise click.UsageError(f"{part!r} is a word of Python, so nothing could import it: choose another name")
    return _Place(tuple(modules[:-1]), modules[-1], _title(last))


def _snake_case(name: str) -> str:
    words = re.sub(r"([A-Z]+)([A-Z][a-z])|([a-z0-9])([A-Z])", r"\1\3_\2\4", name)
    return re.sub(r"_+", "_", words).strip("_").lower()


def _title(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _target(base: Path, place: _Place) -> Path:
    target = base.joinpath(*place.folders, f"{place.name}.py")
    if not target.resolve().is_relative_to(base.resolve()):
        raise ConfigError(f"{target} leads out of {base} by a link: remove the link, or choose another name")
    return target


def _make_packages(base: Path, place: _Place, *, top: bool) -> None:
    """Make the folders, and packages of them; a folder of the user's own choice stays as it is."""
    folders = [base.joinpath(*place.folders[:depth]) for depth in range(len(place.folders) + 1)]
    packages = [folder for folder in folders if top or folder != base or not folder.exists()]
    _refuse_to_hide(packages)
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            if folder in packages and not (folder / "__init__.py").exists():
                _create(folder / "__init__.py", _PACKAGE, os.O_EXCL)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folders[-1]}: {error.strerror}") from error


def _refuse_to_hide(packages: list[Path]) -> None:
    """Make no package of the name of a module beside it: Python would import the package alone."""
    for folder in packages:
        module = folder.with_name(f"{folder.name}.py")
        if module.is_file() and not (folder / "__init__.py").exists():
            raise ConfigError(
                f"the package {folder} would hide {module}, and its jobs would be unknown: make it a package "
                f"(move it to {folder / '__init__.py'}), or name another folder with --path"
            )


def _write(target: Path, text: str, *, force: bool) -> None:
    try:
        _create(target, text, os.O_TRUNC if force else os.O_EXCL)
    except FileExistsError:
        raise ConfigError(f"{target} exists: choose another name, or overwrite it with --force") from None
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from error


def _create(path: Path, text: str, how: int) -> None:
    # A link in place of the file is not followed: it could lead anywhere.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | how, 0o666), "w", encoding="utf-8") as file:
        file.write(text)


def _next_step(config: Config, target: Path, place: _Place, what: str) -> str:
    name = place.title if what == "handle()" else place.name
    step = f"Next: write {what}, push it with `qcore dispatch {name}`, run it with `qcore work --once`."
    module = _module(config, target)
    if any(f"{module}.".startswith(f"{loaded}.") for loaded in config.imports or (DEFAULT,)):
        return step
    return f"{step} First add {module!r} to the imports of your configuration, so that workers load it."


def _module(config: Config, target: Path) -> str:
    """Give the name by which the file is imported."""
    path = target.absolute().with_suffix("")
    return ".".join(path.relative_to(config.root).parts) if path.is_relative_to(config.root) else path.name
