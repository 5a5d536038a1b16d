"""Which code is running: the commit is read without asking git."""

from engine.runtime.provenance import engine_version, git_commit


def test_the_commit_is_found_loose_packed_or_detached(tmp_path):
    git = tmp_path / "project" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    below = tmp_path / "project" / "deep" / "down"
    below.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# packed\naaaa refs/heads/other\nbbbb refs/heads/main\n")
    assert git_commit(below) == "bbbb"
    git_commit.cache_clear()
    (git / "refs" / "heads" / "main").write_text("cccc\n")
    assert git_commit(below) == "cccc"
    git_commit.cache_clear()
    (git / "HEAD").write_text("dddd\n")
    assert git_commit(below) == "dddd"
    assert git_commit(tmp_path) is None
    git_commit.cache_clear()


def test_the_version_is_the_installed_one():
    assert engine_version()[0].isdigit()
