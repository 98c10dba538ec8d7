"""Files and wish of a transaction, in real files of a scratch folder; the kernel stands still."""

import os

import pytest
from l2wg_hooks.apply import rollback, rollback_timer, saved_state, transaction
from l2wg_hooks.config import last_applied, references
from l2wg_hooks.errors import L2wgError
from l2wg_hooks.plan.restore import Snapshot
from l2wg_hooks.reconcile import executor, reconcile
from l2wg_hooks.system import files, lock, process, units

OLD, NEW = "mtu = 1500\n", "mtu = 1400 # mine\n"


@pytest.fixture
def box(root, monkeypatch):
    monkeypatch.setattr(saved_state, "picture", lambda names: (Snapshot({}, {}), "[]", {}))
    monkeypatch.setattr(executor, "apply", lambda steps: ())
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None: ())
    (root / "etc" / "l2wg").mkdir(parents=True)
    (root / "etc" / "l2wg" / "one.conf").write_text(OLD)
    (root / "admins").write_text("before\n")
    os.chmod(str(root / "admins"), 0o640)
    # What is there was applied once.
    transaction.begin([], [], [str(root / "admins"), str(root / "made")])
    transaction.commit()
    return root


def change(box, confirm=False):
    (box / "etc" / "l2wg" / "one.conf").write_text(NEW)
    (box / "etc" / "l2wg" / "two.conf").write_text("new\n")
    after = {str(box / "admins"): "after\n", str(box / "made"): "by us\n"}
    transaction.begin([], [], [str(box / "admins"), str(box / "made")], texts=after)
    (box / "admins").write_text("after\n")
    (box / "made").write_text("by us\n")
    if confirm:
        saved = saved_state.load(saved_state.OPEN)
        new = {path: files.text(path, None) for path in saved.old}
        saved_state.store(saved_state.OPEN, saved._replace(waiting=True, new=new)._asdict())


def files_of(box):
    return {str(path.relative_to(box)): path.read_text() for path in sorted(box.rglob("*")) if path.is_file() and path.relative_to(box).parts[0] not in ("run", "var")}


BEFORE = {"admins": "before\n", "etc/l2wg/one.conf": OLD}
ASIDE = {"etc/l2wg/one.conf.rejected": NEW, "etc/l2wg/two.conf.rejected": "new\n"}


def test_what_is_set_aside_is_nobody_elses_to_read_than_before(box):
    change(box)
    os.chmod(str(box / "etc" / "l2wg" / "two.conf"), 0o600)
    rollback.rollback("test")
    assert (box / "etc" / "l2wg" / "two.conf.rejected").stat().st_mode & 0o777 == 0o600


def test_what_is_saved_is_roots_alone(box):
    change(box)
    assert {path.name: path.stat().st_mode & 0o777 for path in (box / "var/lib/l2wg").iterdir()} == {"transaction": 0o600, "last": 0o600, "applied": 0o600}


def test_all_is_put_back_and_the_admins_text_is_kept_beside(box):
    change(box)
    assert rollback.rollback("why") == ()
    assert files_of(box) == dict(BEFORE, **ASIDE)
    assert os.stat(str(box / "admins")).st_mode & 0o777 == 0o640
    assert not last_applied.pending()


def test_a_new_tunnel_may_be_mended_where_it_is(box):
    change(box)
    rollback.rollback("a step failed", keep=rollback.NEW)
    assert files_of(box) == dict(BEFORE, **{"etc/l2wg/one.conf.rejected": NEW, "etc/l2wg/two.conf": "new\n"})


def test_an_apply_that_was_killed_makes_way_for_the_next_one(box):
    change(box)
    rollback.clear()
    assert files_of(box) == dict(BEFORE, **{"etc/l2wg/one.conf": NEW, "etc/l2wg/two.conf": "new\n"})
    rollback.clear()


def test_what_waits_to_be_confirmed_is_in_nobodys_way(box):
    change(box, confirm=True)
    with pytest.raises(L2wgError, match="still waits"):
        rollback.clear()
    transaction.confirm()
    assert (box / "etc" / "l2wg" / "one.conf").read_text() == NEW and not last_applied.pending()
    with pytest.raises(L2wgError, match="nothing waits"):
        transaction.confirm()
    assert last_applied.read() == {"one": NEW, "two": "new\n"}


def test_a_confirmed_one_is_undone_by_hand_once(box):
    change(box)
    transaction.commit()
    rollback.rollback("asked for")
    assert files_of(box) == dict(BEFORE, **ASIDE)
    assert last_applied.read() == {"one": OLD}
    with pytest.raises(L2wgError, match="nothing to undo"):
        rollback.rollback("asked for")


def test_what_somebody_wrote_meanwhile_stays(box):
    change(box, confirm=True)
    (box / "admins").write_text("mine\nafter\nand mine\n")
    rollback.rollback("not confirmed")
    assert (box / "admins").read_text() == "mine\nbefore\nand mine\n"
    assert not (box / "var/lib/l2wg/rejected").exists()


@pytest.mark.parametrize("how", ["confirmed", "killed"])
def test_where_somebody_has_edited_the_same_line_hers_is_kept_beside(box, capsys, how):
    change(box, confirm=how == "confirmed")
    (box / "admins").write_text("and mine\n")
    rollback.rollback("not confirmed")
    assert (box / "admins").read_text() == "before\n"
    (kept,) = (box / "var/lib/l2wg/rejected").iterdir()
    assert kept.read_text() == "and mine\n" and str(kept) in capsys.readouterr().err


def test_a_tunnel_that_was_deleted_comes_back(box):
    (box / "etc" / "l2wg" / "one.conf").unlink()
    transaction.begin([], [], [])
    rollback.rollback("why")
    assert files_of(box) == BEFORE


def test_a_reboot_puts_back_files_of_an_earlier_boot_only(box, monkeypatch):
    change(box)
    before = files_of(box)
    rollback.recover()
    assert files_of(box) == before, "it is under way at this very moment"
    monkeypatch.setattr(saved_state, "boot", lambda: "another")
    rollback.recover()
    assert files_of(box) == dict(BEFORE, **ASIDE)
    rollback.recover()


def test_without_a_timer_nothing_is_tried(box):
    with pytest.raises(L2wgError, match="no systemd"):
        transaction.begin([], [], [], 60)
    assert not last_applied.pending()


def test_what_cannot_be_undone_can_be_tried_again(box, monkeypatch):
    change(box)
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None: ("a problem",))
    assert len(rollback.rollback("why")) == 2
    assert last_applied.pending()
    monkeypatch.setattr(reconcile, "reconcile", lambda only=None, meet=None: ())
    assert rollback.rollback("again") == ()


def test_a_file_that_nobody_understands_is_named(box):
    (box / "var/lib/l2wg/transaction").write_text("{")
    with pytest.raises(L2wgError, match="cannot be understood"):
        rollback.clear()


# Files that others change, too


def test_a_line_that_somebody_added_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "wg0.conf"
    path.write_text("one\n")
    old = files.read(str(path))
    path.write_text("one\ntwo\n")
    with pytest.raises(L2wgError, match="somebody has changed it"):
        files.write(str(path), old + "ours\n", old=old)
    assert path.read_text() == "one\ntwo\n" and len(list(tmp_path.iterdir())) == 1
    path.unlink()
    with pytest.raises(L2wgError, match="somebody has changed it"):
        files.write(str(path), "ours\n", old=old)
    files.write(str(path), "ours\n", old="")


def test_extended_attributes_stay(tmp_path):
    path = tmp_path / "wg0.conf"
    path.write_text("one\n")
    try:
        os.setxattr(str(path), "user.note", b"ask Anna")
    except OSError:
        pytest.skip("the file system of %s has no extended attributes" % tmp_path)
    files.write(str(path), "two\n")
    assert os.getxattr(str(path), "user.note") == b"ask Anna"


def test_two_of_us_do_not_change_files_at_once(monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.05)
    with lock.changing(), pytest.raises(L2wgError, match="held by another"), lock.changing():
        pass
    with lock.changing():
        pass


# Who else names the port


def test_lines_that_name_a_port_are_found(root):
    etc = root / "etc"
    texts = {
        "nftables.conf": 'iifname "enp2s0" accept\niifname "enp2s01" drop\n# enp2s0\n',
        "dnsmasq.d/lan": "interface=enp2s0\nno-dhcp-interface=enp2s0\n",
        "dnsmasq.d/l2wg": "interface=enp2s0\n",
        "network/interfaces": "auto enp2s0\niface enp2s0 inet static\n up ip route add 10.0.0.0/8 dev enp2s0\niface enp1s0 inet dhcp\n"
        "    post-up iptables -A FORWARD -i enp2s0 -j ACCEPT\niface v inet manual\n  vlan-raw-device enp2s0\n# up enp2s0\n",
        "network/interfaces.d/l2wg": "iface enp1s0 inet manual\n up enp2s0\n",
        "l2wg/one.conf": "bridge-ports = enp2s0\n",
        "radvd.conf~": "interface enp2s0\n",
        "sysctl.d/a.conf": "net.ipv4.conf.enp2s0.rp_filter = 1\nnet.ipv4.conf.enp2s0/10.rp_filter=1\n",
        "vlans": "enp2s0.10 enp2s0:1 xenp2s0 my-enp2s0x\n",
    }
    for name, text in texts.items():
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text(text)
    found = references.find({"enp2s0": "br0"})
    assert [(os.path.relpath(mention.path, str(etc)), mention.line) for mention in found] == [
        ("nftables.conf", 1),
        ("dnsmasq.d/lan", 1),
        ("dnsmasq.d/lan", 2),
        ("network/interfaces", 5),
        ("sysctl.d/a.conf", 1),
    ]
    assert [mention.text for mention in references.unserved(found)][1] == "no-dhcp-interface=enp2s0"
    assert references.dnsmasq(found).endswith("\ninterface=br0\n")
    assert references.dnsmasq(found[:1]) == "" and references.find({}) == []
    assert "write br0 instead" in str(found[0].problem())


def test_only_a_worker_of_this_boot_is_stopped(box, monkeypatch):
    """Not one that waits for its confirmation, not ourselves, and nobody else who has got its number since."""
    killed = []
    monkeypatch.setattr(transaction.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(transaction.os, "kill", lambda pid, number: killed.append((pid, number)))
    alive = {4242: 2}

    def is_l2wg(pid):
        alive[pid] = alive.get(pid, 0) - 1
        return alive[pid] >= 0

    monkeypatch.setattr(transaction, "_is_l2wg", is_l2wg)
    transaction.stop_worker()
    assert killed == [], "there is none"
    transaction.begin([], [], [])
    saved = saved_state.load(saved_state.OPEN)
    for changes in ({"pid": os.getpid()}, {"pid": 4242, "waiting": True}, {"pid": 4242, "boot": "another"}):
        saved_state.store(saved_state.OPEN, saved._replace(**changes)._asdict())
        transaction.stop_worker()
        assert killed == [], changes
    saved_state.store(saved_state.OPEN, saved._replace(pid=4242)._asdict())
    transaction.stop_worker()
    assert killed == [(4242, transaction.signal.SIGTERM)] * 2


@pytest.mark.parametrize("armed", [False, True])
def test_a_timer_is_stopped_where_there_is_one(monkeypatch, root, armed):
    """`wait` arms it anew for the time that was asked for; at the beginning there is none, and systemctl(1) would be a process more."""
    ran = []
    monkeypatch.setattr(units, "run_here", lambda: True)
    monkeypatch.setattr(process, "run", lambda argv, stdin="": ran.append(argv[:2]) or process.Result(0, "", ""))
    (root / "run/systemd/transient").mkdir(parents=True)
    if armed:
        (root / "run/systemd/transient/l2wg-rollback.timer").write_text("")
    rollback_timer.arm(180, must=False)
    assert ran == [("systemctl", "stop")] * armed + [("systemd-run", "--quiet")]
    ran.clear()
    rollback_timer.disarm()
    assert ran == [("systemctl", "stop")]
