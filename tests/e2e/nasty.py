"""A tree with everything that backup programs get wrong."""

import os
import pathlib
import socket
import stat
import struct
import subprocess

from harness import noise

AS_ROOT = os.geteuid() == 0


def write(path, content, mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def make(root):
    root = pathlib.Path(root)
    root.mkdir()
    contents(root)
    names(root)
    holes(root)
    links(root)
    metadata(root)
    if AS_ROOT:
        owners_and_devices(root)
    times(root)


def contents(root):
    folder = root / "contents"
    folder.mkdir()
    write(folder / "empty", b"")
    write(folder / "one", b"\0")
    for size in (511, 512, 4095, 4096, 65535, 65536, 65537, 131072, 1048576, 1048577):
        write(folder / f"noise-{size}", noise(size, size))
        write(folder / f"zeros-{size}", bytes(size))
    write(folder / "large", noise("large", 9_000_000))
    write(folder / "large-text", b"the same line again and again\n" * 300_000)
    write(folder / "same-1", noise("same", 300_000))
    write(folder / "same-2", noise("same", 300_000))
    many = root / "many"
    many.mkdir()
    for i in range(1500):
        write(many / f"file {i:05}", b"%d " % i * (i % 300))
    (root / "empty folder").mkdir()
    (root / "a").mkdir()
    (root / "a!").mkdir()  # sorts between "a" and "a/"
    write(root / "a" / "x", b"in a")
    write(root / "a!" / "x", b"in a!")
    write(root / "a.x", b"beside a")


def names(root):
    folder = root / "names"
    folder.mkdir()
    for name in (b"with space", b"with\nnewline", b"tab\there", b"not utf-8 \xff\xfe", b"latin1 \xe9", b"-rf", b"*", b"[x]",
                 b"'quote\"", b"\\back", b"\x01\x1b[31m", b" ", b"trailing ", b".hidden", b"..dots", b"%s", "ünïcode ☃".encode(),
                 b"n" * 255, b"a:b", b"#", b"~"):
        write(os.fsencode(folder) + b"/" + name, name)


def make_deep(folder):
    """Deeper than PATH_MAX: made from inside, folder by folder. rsync cannot compare it."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        os.mkdir("deep")
        os.chdir("deep")
        for i in range(25):
            part = f"{i:02}" + "d" * 200
            os.mkdir(part)
            os.chdir(part)
        write("at the bottom", b"deep down")
        os.symlink("at the bottom", "link")
    finally:
        os.fchdir(before)
        os.close(before)


def holes(root):
    folder = root / "holes"
    folder.mkdir()

    def sparse(name, size, pieces):
        with open(folder / name, "wb") as file:
            for offset, piece in pieces:
                file.seek(offset)
                file.write(piece)
            file.truncate(size)

    sparse("only a hole", 50_000_000, [])
    sparse("begins with one", 3_000_000, [(2_500_000, noise(1, 500_000))])
    sparse("ends with one", 3_000_000, [(0, noise(2, 10_000))])
    sparse("in the middle", 5_000_000, [(0, noise(3, 300_000)), (4_500_000, b"end")])
    sparse("many", 4_000_000, [(i * 100_000, b"x" * 5000) for i in range(40)])
    sparse("small with one", 40_000, [(36_000, b"y")])


def links(root):
    folder = root / "links"
    (folder / "elsewhere").mkdir(parents=True)
    write(folder / "first", noise("hard", 200_000))
    os.link(folder / "first", folder / "second")
    os.link(folder / "first", folder / "elsewhere" / "third")
    write(folder / "small first", b"small")
    os.link(folder / "small first", folder / "elsewhere" / "small second")
    os.symlink("first", folder / "to first")
    os.symlink("/nowhere/at all", folder / "dangling")
    os.symlink("elsewhere", folder / "to a folder")
    os.symlink("x" * 4000, folder / "long")
    os.symlink(b"not utf-8 \xff", os.fsencode(folder) + b"/bytes")
    os.symlink("loop", folder / "loop")
    if AS_ROOT:
        os.link(folder / "dangling", folder / "second name of a link", follow_symlinks=False)


def metadata(root):
    folder = root / "metadata"
    folder.mkdir()
    for mode in (0o000, 0o400, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o6711):
        write(folder / f"file {mode:04o}", b"mode", mode)
        (folder / f"folder {mode:04o}").mkdir()
        if mode & 0o500 == 0o500 or AS_ROOT:
            write(folder / f"folder {mode:04o}" / "inside", b"inside")
        os.chmod(folder / f"folder {mode:04o}", mode)
    os.mkfifo(folder / "fifo", 0o640)
    os.mkfifo(folder / "closed fifo", 0)
    sock = socket.socket(socket.AF_UNIX)
    before = os.open(".", os.O_RDONLY)
    os.chdir(folder)  # the path of a socket is short
    sock.bind("socket")
    sock.close()
    os.fchdir(before)
    os.close(before)
    os.setxattr(folder / "file 0755", "user.empty", b"")
    os.setxattr(folder / "file 0755", "user.binary", bytes(range(256)))
    os.setxattr(folder / "file 0755", "user.large", b"v" * 3000)
    os.setxattr(folder / "folder 0755", "user.folder", b"on a folder")
    subprocess.run(["setfacl", "-m", "u:1234:rwx,g:4321:r", str(folder / "file 0600")], check=True)
    subprocess.run(["setfacl", "-m", "u:1234:rx", str(folder / "folder 0755")], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:99:rwx,g:77:-", str(folder / "folder 0777")], check=True)
    write(folder / "folder 0777" / "made under a default acl", b"")


def owners_and_devices(root):
    folder = root / "owners"
    folder.mkdir()
    for uid, gid in ((0, 0), (1, 1), (65534, 65534), (123456, 654321), (4294967294, 4294967294)):
        write(folder / f"{uid} {gid}", b"owned")
        os.chown(folder / f"{uid} {gid}", uid, gid)
    os.symlink("x", folder / "link")
    os.chown(folder / "link", 1000, 1000, follow_symlinks=False)
    write(folder / "setuid of another", b"#!", 0o755)
    os.chown(folder / "setuid of another", 1000, 1000)
    os.chmod(folder / "setuid of another", 0o6755)
    # cap_net_raw+ep, as the kernel has it
    write(folder / "with a capability", b"ELF")
    os.setxattr(folder / "with a capability", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    os.setxattr(folder / "link", "trusted.on_a_link", b"attribute", follow_symlinks=False)
    for name, kind, device in (("null", stat.S_IFCHR, (1, 3)), ("loop", stat.S_IFBLK, (7, 7)), ("high", stat.S_IFCHR, (511, 70000))):
        os.mknod(folder / name, 0o620 | kind, os.makedev(*device))


def times(root):
    folder = root / "times"
    folder.mkdir()
    for name, ns in (("before 1970", -1), ("1901", -2_177_452_800_123_456_789), ("zero", 0), ("nanoseconds", 1_234_567_890_123_456_789),
                     ("2106", 4_300_000_000_000_000_001)):
        write(folder / name, b"time")
        (folder / f"folder {name}").mkdir()
        os.utime(folder / name, ns=(ns, ns))
        os.utime(folder / f"folder {name}", ns=(ns, ns))
    os.symlink("x", folder / "link")
    os.utime(folder / "link", ns=(7, 7), follow_symlinks=False)
    for path in (root / "many", root / "a", root / "links", root):
        os.utime(path, ns=(1_000_000_000_000_000_007, 1_000_000_000_000_000_007))


def change(root):
    """Changes of every kind, as a day would bring."""
    root = pathlib.Path(root)
    write(root / "contents" / "noise-4096", noise("changed", 4096))
    with open(root / "contents" / "large", "r+b") as file:
        file.seek(4_500_000)
        file.write(b"changed in the middle")
    with open(root / "contents" / "large-text", "ab") as file:
        file.write(b"appended\n" * 1000)
    os.remove(root / "contents" / "same-1")
    write(root / "contents" / "new", noise("new", 70_000))
    os.rename(root / "a!" / "x", root / "a!" / "renamed")
    os.chmod(root / "a" / "x", 0o600)
    os.setxattr(root / "a" / "x", "user.new", b"1")
    os.utime(root / "many" / "file 00007", ns=(5, 5))
    os.remove(root / "links" / "second")
    os.remove(root / "names" / "*")
    os.mkdir(root / "names" / "*")
    os.remove(root / "links" / "to first")
    write(root / "links" / "to first", b"no link any more")
    write(root / "a" / "between", b"")
    for i in range(0, 1500, 100):
        write(root / "many" / f"file {i:05}", b"rewritten %d" % i)
