"""What is not for reading: secrets by their names; and what is not for writing: through which git runs programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .globs import Names, compile_globs, expand_braces
from .spelling import fold

SECRETS = (
    ".env*",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    "!.env.defaults",
    "!.env.schema",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.ppk",
    "*.kdbx",
    "id_{rsa,dsa,ecdsa,ed25519,ecdsa_sk,ed25519_sk}",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".config/gcloud",
    ".config/gh/hosts.yml",
    ".docker/config.json",
    "application_default_credentials.json",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".vault-token",
    ".terraform.d/credentials.tfrc.json",
    "*.tfstate",
)
"""Names of files and directories; one with a slash is a part of a path; one after an exclamation mark excepts."""

# What git runs, or what says where else it finds what it runs.
_PROGRAMS_OF_GIT = re.compile(r"hooks|config|config\.worktree|commondir|gitdir|git-rebase-todo")


class Denial:
    """Tells which paths are denied: those in which a name, or a part of the path, fits one of the globs.

    Case makes no difference, since a file system may make none, nor does what else `fold` levels. What `candidates`
    does not match is never denied.
    """

    def __init__(self, globs: Sequence[str] = SECRETS) -> None:
        self.globs = tuple(globs)
        wanted = [each for glob in globs if not glob.startswith("!") for each in expand_braces(glob.rstrip("/"))]
        allowed = [each for glob in globs if glob.startswith("!") for each in expand_braces(glob[1:].rstrip("/"))]
        self.candidates = Names([glob.rpartition("/")[2] for glob in wanted], fold=True)
        self._names = Names([glob for glob in wanted if "/" not in glob], fold=True)
        self._paths = _compile([_anywhere(glob) for glob in wanted if "/" in glob])
        self._good_names = Names([glob for glob in allowed if "/" not in glob], fold=True)
        self._good_paths = _compile([_anywhere(glob) for glob in allowed if "/" in glob])

    @property
    def spans_folders(self) -> bool:
        """Whether some glob asks for more than a name, so that moving a directory could lift it."""
        return self._paths is not None or self._good_paths is not None

    def denies(self, path: str) -> bool:
        """Tell whether a path, or a directory that it lies in, is denied; `path` is relative to what is served."""
        folder = ""
        for name in filter(None, path.split("/")):
            if self.denies_entry(folder, name):
                return True
            folder = f"{folder}{name}/"
        return False

    def denies_entry(self, folder: str, name: str) -> bool:
        """Tell whether a name in a directory that is not denied is; `folder` ends with a slash or is empty."""
        if not self.candidates.match(name) or self._is_excepted(folder, name):
            return False
        return self._names.match(name) or bool(self._paths is not None and self._paths.match(fold(folder + name)))

    def _is_excepted(self, folder: str, name: str) -> bool:
        if self._good_names.match(name):
            return True
        return bool(self._good_paths is not None and self._good_paths.match(fold(folder + name)))


def _compile(globs: list[str]) -> re.Pattern[str] | None:
    return compile_globs([fold(glob) for glob in globs])


def _anywhere(glob: str) -> str:
    return glob.lstrip("/") if glob.startswith(("/", "**/")) else f"**/{glob}"


def runs_programs(path: str) -> bool:
    """Tell whether git would run what a file at this path names or holds: hooks and configuration of a repository.

    So does a file in the place of the repository's own directory, which names another one. `path` is relative to what
    is served, or absolute. Names count as a file system without case reads them.
    """
    names = [fold(name).rstrip(". ") for name in path.split("/") if name not in ("", ".")]
    for index, name in enumerate(names):
        below = names[index + 1 :]
        if is_git_folder(name) and (not below or any(_PROGRAMS_OF_GIT.fullmatch(each) for each in below)):
            return True
    return False


def lies_in_git_folder(path: str) -> bool:
    """Tell whether a path is that of a repository's own directory, or of something in it."""
    return any(is_git_folder(name) for name in path.split("/"))


def is_git_folder(name: str) -> bool:
    """Tell whether a name is that of a repository's own directory."""
    return fold(name).rstrip(". ") in (".git", "git~1")
