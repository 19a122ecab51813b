"""Every key of git's configuration that names a program or a file, every hook, every variable: none is obeyed.

The keys are those of git 2.39 to 2.54 and of the programs that come with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from tests.servers.git.ambush import CANARY, Call, Ground, failed, tour, use
from tests.servers.git.forge import Repo
from tests.stage import Connect, in_both_eras, scene


def words(text: str) -> list[str]:
    return text.split()


PROGRAMS = words("""
core.fsmonitor core.pager core.editor core.askPass core.sshCommand core.gitProxy core.alternateRefsCommand
sequence.editor diff.external diff.evil.command diff.evil.textconv interactive.diffFilter
filter.evil.clean filter.evil.smudge filter.evil.process merge.evil.driver merge.tool mergetool.evil.cmd
mergetool.evil.path difftool.evil.cmd difftool.evil.path diff.tool diff.guitool merge.guitool guitool.evil.cmd
credential.helper credential.https://evil.invalid.helper
gpg.program gpg.openpgp.program gpg.ssh.program gpg.x509.program gpg.ssh.defaultKeyCommand
pager.log pager.diff pager.show pager.status pager.branch pager.grep pager.blame pager.add
trailer.evil.command trailer.evil.cmd browser.evil.cmd browser.evil.path web.browser help.browser
man.evil.cmd man.evil.path man.viewer instaweb.httpd instaweb.browser imap.tunnel tar.evil.command
remote.evil.uploadpack remote.evil.receivepack remote.evil.vcs remote.evil.proxy
uploadpack.packObjectsHook gc.recentObjectsHook receive.procReceiveRefs
sendemail.toCmd sendemail.ccCmd sendemail.headerCmd sendemail.sendmailCmd sendemail.smtpServer
hook.evil.command gitcvs.dbDriver git-p4.client core.gitCvsProxy
""")
SHELL = words("alias.status alias.diff alias.log alias.add alias.commit alias.cat-file submodule.sub.update")
"""Keys whose value is a command of the shell behind an exclamation mark."""
FILES = words("""
include.path includeIf.gitdir:**.path includeIf.onbranch:**.path core.attributesFile core.excludesFile commit.template
blame.ignoreRevsFile mailmap.file diff.orderFile gpg.ssh.allowedSignersFile gpg.ssh.revocationFile user.signingKey
format.signatureFile fsck.skipList http.cookieFile http.sslCert http.sslKey http.sslCAInfo sendemail.aliasesFile
trace2.normalTarget trace2.eventTarget gitcvs.logFile
""")
FOLDERS = words("""
core.worktree core.hooksPath init.templateDir http.sslCAPath format.outputDirectory fsmonitor.socketDir help.htmlPath
instaweb.modulePath submodule.sub.path
""")
OTHERS = """\
[core]
	repositoryFormatVersion = 1
	untrackedCache = true
	splitIndex = true
	gitProxy = none
[commit]
	gpgSign = true
	verbose = true
[tag]
	gpgSign = true
[log]
	showSignature = true
[gpg]
	format = ssh
[diff]
	submodule = log
	trustExitCode = true
[status]
	submoduleSummary = true
[submodule]
	recurse = true
[filter "evil"]
	required = true
[hook "evil"]
	event = pre-commit
	event = post-checkout
	event = reference-transaction
[credential]
	interactive = always
[extensions]
	worktreeConfig = true
	partialClone = evil
	preciousObjects = true
[remote "evil"]
	url = ext::sh -c touch% marked
	promisor = true
	partialCloneFilter = blob:none
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[url "ext::sh -c touch% marked "]
	insteadOf = https://
[mailmap]
	blob = HEAD:a.txt
[maintenance]
	auto = true
[gc]
	auto = 1
"""
HOOKS = words("""
applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg post-commit
pre-rebase post-checkout post-merge pre-push pre-receive update proc-receive post-receive post-update
reference-transaction push-to-checkout pre-auto-gc post-rewrite sendemail-validate fsmonitor-watchman
post-index-change
""")
VARIABLES = words("""
GIT_EXTERNAL_DIFF GIT_PAGER PAGER GIT_EDITOR GIT_SEQUENCE_EDITOR EDITOR VISUAL GIT_ASKPASS SSH_ASKPASS GIT_SSH
GIT_SSH_COMMAND GIT_PROXY_COMMAND GIT_PYTHON_GIT_EXECUTABLE GIT_MERGE_TOOL GIT_GPG
""")


def write_key(key: str, value: object) -> str:
    section, _, rest = key.partition(".")
    name, _, last = rest.rpartition(".")
    return f'[{section} "{name}"]\n\t{last} = "{value}"' if name else f'[{section}]\n\t{last} = "{value}"'


def arm(ground: Ground) -> None:
    """Set every key at once, in the configuration of the repository and in that of its worktree."""
    text = [write_key(key, ground.program(key.replace("/", "_"))) for key in PROGRAMS]
    text += [write_key(key, f"!{ground.program(key)}") for key in SHELL]
    bait = ground.outside / "bait.inc"
    bait.write_text(f"# {CANARY}\n[core]\n\tfsmonitor = {ground.program('included')}\n")
    text += [write_key(key, bait) for key in FILES]
    text += [write_key(key, ground.outside) for key in FOLDERS]
    ground.configure("\n".join([*text, OTHERS]))
    ground.repo.write(".git/config.worktree", "\n".join(text))
    ground.repo.write(".gitattributes", "*.txt diff=evil filter=evil merge=evil\n")
    ground.repo.write(".git/info/attributes", "*.txt diff=evil merge=evil\n")


@in_both_eras
@scene
async def test_no_key_that_names_a_program_or_a_file_is_obeyed(connect: Connect, ground: Ground, revision: str) -> None:
    arm(ground)
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
        ground.repo.write("a.txt", "one\ntwo\n")
        moved = await use(client, [("git_checkout", {"branch_name": "old"})])
    ground.check(said + moved)
    assert "new.txt" in said[0], "an honest use is lost"
    # A filter would have to change these files, and is not run: to stage them raw would be wrong.
    assert [each.split()[0] for each in failed(said)] == ["git_add", "git_commit", "git_checkout"]
    assert failed(moved) == []
    assert (ground.repo.path / "a.txt").read_text() == "one\n"


@in_both_eras
@scene
async def test_with_every_key_set_git_commits_what_no_filter_wants(
    connect: Connect, ground: Ground, revision: str
) -> None:
    arm(ground)
    ground.repo.write(".gitattributes", "*.txt diff=evil merge=evil\n")
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
    ground.check(said)
    assert failed(said) == []


def test_git_sees_none_of_the_keys(ground: Ground) -> None:
    arm(ground)
    repositories = ground.forge.serve(ground.repo)
    repository = repositories.find(None, repositories.ceiling)
    seen = asyncio.run(repository.demand(["config", "--list", "--includes"])).data.decode()
    repositories.close()
    assert "core.repositoryformatversion" in seen
    assert str(ground.forge.folder / "programs") not in seen
    assert str(ground.outside) not in seen
    assert "!" not in seen


@pytest.mark.slow
@in_both_eras
@pytest.mark.parametrize("key", [*PROGRAMS, *SHELL, *FILES, *FOLDERS])
@scene
async def test_no_key_is_obeyed_alone(connect: Connect, ground: Ground, key: str, revision: str) -> None:
    program = ground.program("program")
    bait = ground.outside / "bait.inc"
    bait.write_text(f"# {CANARY}\n[core]\n\tfsmonitor = {program}\n")
    value = f"!{program}" if key in SHELL else bait if key in FILES else ground.outside if key in FOLDERS else program
    ground.configure(write_key(key, value))
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
    ground.check(said)
    assert failed(said) == []


FALLS = {
    "core.fsmonitor": ["status"],
    "diff.external": ["diff"],
    "diff.evil.command": ["diff"],
    "diff.evil.textconv": ["diff"],
    "filter.evil.clean": ["add", "."],
    "merge.evil.driver": ["merge", "side"],
    "core.editor": ["commit", "--allow-empty"],
    "gpg.program": ["-c", "gpg.format=openpgp", "commit", "--allow-empty", "-S", "-m", "x"],
    "trailer.evil.cmd": ["interpret-trailers", "--trailer", "evil=1", "a.txt"],
    "core.sshCommand": ["ls-remote", "ssh://evil.invalid/x"],
    "credential.helper": ["credential", "fill"],
    "tar.evil.command": ["archive", "--format=evil", "HEAD"],
    "alias.mine": ["mine"],
}


@pytest.mark.parametrize("key", FALLS)
def test_git_itself_obeys_the_key(ground: Ground, key: str) -> None:
    ground.repo.write(".gitattributes", "*.txt diff=evil filter=evil merge=evil\n")
    if key == "merge.evil.driver":
        ground.repo.commit("three", a_txt="three\n")
        ground.repo.git("checkout", "-q", "-b", "side", "HEAD~1")
        ground.repo.commit("side", a_txt="another\n")
        ground.repo.git("checkout", "-q", "main")
    program = ground.program(key)
    ground.configure(write_key(key, f"!{program}" if key.startswith("alias") else program))
    subprocess.run(
        ["git", *FALLS[key]],
        cwd=ground.repo.path,
        env=ground.repo.environment,
        input=b"protocol=https\nhost=evil.invalid\n\n",
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (ground.marks / key).exists()


def plant_hooks(ground: Ground, folder: Path) -> None:
    for name in HOOKS:
        ground.program(name, folder)


@in_both_eras
@pytest.mark.parametrize("place", ["hooks", "worktree", "elsewhere", "relative"])
@scene
async def test_no_hook_is_run_wherever_it_lies(connect: Connect, ground: Ground, place: str, revision: str) -> None:
    victim = ground.repo
    if place == "worktree":
        victim.git("worktree", "add", "--quiet", "-b", "linked", str(ground.forge.folder / "linked"))
        victim = Repo(ground.forge.folder / "linked", victim.environment)
        victim.write("new.txt")
        plant_hooks(ground, ground.git / "worktrees" / "linked" / "hooks")
    plant_hooks(ground, ground.repo.path / "mine" if place == "relative" else ground.git / "hooks")
    if place == "relative":
        ground.configure("[core]\n\thooksPath = mine")
    if place == "elsewhere":
        plant_hooks(ground, ground.outside / "hooks")
        ground.configure(f"[core]\n\thooksPath = {ground.outside / 'hooks'}")
    calls: list[Call] = [
        ("git_add", {"files": ["new.txt"]}),
        ("git_commit", {"message": "x"}),
        ("git_create_branch", {"branch_name": "y"}),
    ]
    calls += [("git_checkout", {"branch_name": "y"}), ("git_status", {}), ("git_reset", {})]
    async with ground.visit(connect, revision, victim) as client:
        said = await use(client, [(name, {"repo_path": str(victim.path), **more}) for name, more in calls])
    ground.check(said)
    assert failed(said) == []
    assert "Hooks and signing were skipped" in said[1]
    assert "pre-commit" in said[1]


def test_git_itself_runs_the_hooks(ground: Ground) -> None:
    plant_hooks(ground, ground.git / "hooks")
    ground.repo.git("commit", "--all", "-m", "x")
    ground.repo.git("checkout", "--quiet", "-b", "y")
    ran = {each.name for each in ground.marks.iterdir()}
    assert ran >= {"pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-checkout"}


@in_both_eras
@scene
async def test_no_variable_of_the_server_reaches_git(
    connect: Connect, ground: Ground, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ground.outside / "repo" / ".git"
    hostile = {name: str(ground.program(name)) for name in VARIABLES}
    hostile |= {
        "GIT_DIR": str(other),
        "GIT_WORK_TREE": str(ground.outside),
        "GIT_COMMON_DIR": str(other),
        "GIT_INDEX_FILE": str(other / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(other / "objects"),
        "GIT_NAMESPACE": "evil",
        "GIT_CONFIG": str(other / "config"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": hostile["PAGER"],
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={hostile['PAGER']}'",
        "GIT_EXEC_PATH": str(ground.forge.folder / "programs"),
        "GIT_TEMPLATE_DIR": str(ground.outside),
        "GIT_TRACE": str(ground.outside / "trace"),
        "GIT_TRACE2_EVENT": str(ground.outside / "trace2"),
        "GIT_TRACE_PACKET": "2",
        "GIT_REPLACE_REF_BASE": "refs/evil/",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_ALLOW_PROTOCOL": "ext",
        "GIT_SHALLOW_FILE": str(ground.outside / "hash"),
        "GIT_GRAFT_FILE": str(ground.outside / "hash"),
        "GIT_ATTR_SOURCE": "HEAD",
        "GIT_DEFAULT_HASH": "sha256",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    ground.forge.environment.update(hostile)
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
    ground.check(said)
    assert failed(said) == []
    assert "three" in said[1]


@in_both_eras
@scene
async def test_the_user_s_own_configuration_is_obeyed_where_it_is_data(
    connect: Connect, ground: Ground, revision: str
) -> None:
    ignored = ground.forge.folder / "home" / "ignored"
    ignored.write_text("new.txt\n")
    program = ground.program("global")
    with ground.forge.config.open("a") as file:
        file.write(f"[core]\n\texcludesFile = {ignored}\n\tfsmonitor = {program}\n[diff]\n\texternal = {program}\n")
    async with ground.visit(connect, revision) as client:
        said = await tour(client)
    ground.check(said)
    assert failed(said) == []
    assert "new.txt" not in said[0]
    assert "Ada" in said[3]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
@in_both_eras
@pytest.mark.parametrize("what", ["everything", "hooks of the common directory", "work tree"])
@scene
async def test_the_hooks_of_another_user_are_not_run_even_with_run_hooks(
    connect: Connect, ground: Ground, what: str, revision: str
) -> None:
    plant_hooks(ground, ground.git / "hooks")
    given = {"everything": [ground.repo.path, ground.git], "work tree": [ground.repo.path]}.get(what, [ground.git])
    for place in given:
        os.chown(place, 54_321, 54_321)
    calls: list[Call] = [("git_add", {"files": ["."]}), ("git_commit", {"message": "x"})]
    async with ground.visit(connect, revision, run_hooks=True) as client:
        said = await use(client, calls)
    ground.check(said)
    assert failed(said) == []
    assert "another user's" in said[1]
