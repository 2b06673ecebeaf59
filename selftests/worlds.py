# SPDX-License-Identifier: GPL-2.0
"""
For sequences.py: processes that own sockets, each in a cgroup and a network namespace, and what
the kernel's own listings say of sockets.
"""

import contextlib
import ctypes
import functools
import ipaddress
import os
import pickle
import socket
import subprocess
import time
import traceback

SO_BINDTODEVICE = 25
SO_MARK = 36
TCP_ULP = 31
CLONE_NEWNET = 0x40000000
MESSAGE_MAX = 1 << 20
BACKLOG = 100

# Looks that a connection may take to come to rest. Not a time: while the machine stands still,
# nobody looks.
LOOKS = 2000

ADDRESSES = ["fd00::1/128", "fd00::2/128", "fd00:9::9/128"]
# What is sent there comes nowhere.
HOLE_DEV = "hole"
HOLE_FROM, HOLE = "192.0.2.1", "192.0.2.9"

STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RCVD", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2",
          6: "TIME_WAIT", 8: "CLOSE_WAIT", 9: "LAST_ACK", 11: "CLOSING", 12: "SYN_RCVD"}
RETRANSMIT_TIMER = 1
TIME_WAIT_TIMER = 3


# Files.

def write_once(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def errno_of(call, *args):
    """The errno that a call fails with, or 0."""
    try:
        call(*args)
    except OSError as err:
        return err.errno
    return 0


def put(path, text):
    """The errno of a write, or 0."""
    return errno_of(write_once, path, text)


def read(path):
    with open(path) as file:
        return file.read()


def get(path):
    """What a file says, or the errno of reading it."""
    try:
        return read(path)
    except OSError as err:
        return err.errno


# Where sockets are.

def set_up_net():
    """Addresses and a hole, in the network namespace of the process."""
    commands = ["link set lo up", f"link add {HOLE_DEV} type dummy",
                f"addr add {HOLE_FROM}/24 dev {HOLE_DEV}", f"link set {HOLE_DEV} up"]
    commands += [f"addr add {addr} dev lo nodad" for addr in ADDRESSES]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)


def cgroup_mount():
    for line in read("/proc/mounts").splitlines():
        if line.split()[2] == "cgroup2":
            return line.split()[1]
    raise RuntimeError("no cgroup v2")


def own_cgroup():
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:].rstrip("/")
    raise RuntimeError("in no cgroup v2")


class World:
    """What one process does with sockets of its own, which are known by numbers."""

    def __init__(self, net, cgroup):
        self.net = net
        self.cgroup = cgroup
        self.pid = os.getpid()
        self.socks = {}
        self.last = 0

    put = staticmethod(put)
    get = staticmethod(get)

    def inode_of_net(self):
        return os.stat("/proc/self/ns/net").st_ino

    def keep(self, sock):
        self.last += 1
        self.socks[self.last] = sock
        return self.last

    def traits(self, number):
        """What a socket was given, as it says itself, and its ends."""
        sock = self.socks[number]
        given = [sock.getsockopt(*option, 16).rstrip(b"\0").decode() for option in
                 ((socket.SOL_SOCKET, SO_BINDTODEVICE),
                  (socket.IPPROTO_TCP, socket.TCP_CONGESTION),
                  (socket.IPPROTO_TCP, TCP_ULP))]
        mark = sock.getsockopt(socket.SOL_SOCKET, SO_MARK)
        return dict(zip(("dev", "congestion", "ulp"), given), mark=mark)

    def described(self, number):
        """A socket, its ends, its traits."""
        ends = [self.socks[number].getsockname()[:2], self.socks[number].getpeername()[:2]]
        return number, ends, self.traits(number)

    @staticmethod
    def give(sock, given):
        if given.get("dev"):
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, given["dev"].encode())
        if given.get("congestion"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                            given["congestion"].encode())
        if given.get("ulp"):
            # Not every kernel has it.
            errno_of(sock.setsockopt, socket.IPPROTO_TCP, TCP_ULP, given["ulp"].encode())
        if "mark" in given:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, given["mark"])

    def retune(self, number, given):
        self.give(self.socks[number], given)
        return self.traits(number)

    def listen(self, family, port, only_v6, given):
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        self.give(sock, given)
        sock.bind(("", port))
        sock.listen(BACKLOG)
        return self.keep(sock)

    def new_socket(self, family, uid, given):
        os.seteuid(uid)
        try:
            sock = socket.socket(family)
        finally:
            os.seteuid(0)
        self.give(sock, given)
        return sock

    def connect(self, family, uid, given, end, to):
        sock = self.new_socket(family, uid, given)
        sock.bind(end)
        sock.connect(to)
        return self.described(self.keep(sock))

    def begin(self, uid, given, own_port, port):
        """Begin to connect to the hole: answer how to name the socket, its ends, its traits."""
        sock = self.new_socket(socket.AF_INET, uid, given)
        sock.setblocking(False)
        sock.bind((HOLE_FROM, own_port))
        sock.connect_ex((HOLE, port))
        number = self.keep(sock)
        return number, [sock.getsockname(), (HOLE, port)], self.traits(number)

    def accept(self, listener):
        return self.described(self.keep(self.socks[listener].accept()[0]))

    def end_sending(self, number):
        return errno_of(self.socks[number].shutdown, socket.SHUT_WR)

    def send(self, number, size):
        return errno_of(self.socks[number].send, b"x" * size,
                        socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def fill(self, number):
        """
        Send until nothing more fits into the buffers of both ends, and the peer has been probed:
        a window that was too small for a segment is used up by that, and all stays as it is.
        """
        sock = self.socks[number]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32768)
        for _ in range(LOOKS):
            has_sent = False
            with contextlib.suppress(OSError):
                while True:
                    sock.send(bytes(16384), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                    has_sent = True
            state, _, _, _, backoff = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 5)
            if not has_sent and (backoff or STATES.get(state) != "ESTABLISHED"):
                return
            time.sleep(0.01)
        raise RuntimeError("cannot be filled")

    def close(self, number):
        self.socks.pop(number).close()

    def share(self, number):
        """A descriptor of it, for another process."""
        return os.dup(self.socks[number].fileno())

    def adopt(self, fd):
        return self.keep(socket.socket(fileno=fd))


class Puppet:
    """A World in a process of its own, made before there are sockets that it would inherit."""

    def __init__(self, net, cgroup, own_net=False):
        self.net = net
        self.cgroup = cgroup
        self.channel, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if not self.pid:
            try:
                self.live(there, own_net)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        there.close()
        self.channel.recv(1)

    def live(self, channel, own_net):
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, 4096)
        write_once(f"{cgroup_mount()}{self.cgroup}/cgroup.procs", "0")
        if own_net:
            if ctypes.CDLL(None).unshare(CLONE_NEWNET):
                raise RuntimeError("unshare")
            set_up_net()
        world = World(self.net, self.cgroup)
        channel.send(b"1")
        while True:
            message, fds, _, _ = socket.recv_fds(channel, MESSAGE_MAX, 1)
            if not message:
                os._exit(0)
            name, args = pickle.loads(message)
            fds = self.answer(channel, getattr(world, name), list(args) + fds, name == "share")
            for fd in fds:
                os.close(fd)

    @staticmethod
    def answer(channel, call, args, is_fd):
        try:
            value, failed = call(*args), False
        except OSError as err:
            value, failed = err, True
        fds = [value] if is_fd and not failed else []
        socket.send_fds(channel, [pickle.dumps((failed, None if fds else value))], fds)
        return fds

    def call(self, name, *args, fds=()):
        socket.send_fds(self.channel, [pickle.dumps((name, args))], fds)
        message, got, _, _ = socket.recv_fds(self.channel, MESSAGE_MAX, 1)
        if not message:
            raise RuntimeError(f"{self.pid} has died at {name} {args}")
        failed, value = pickle.loads(message)
        if failed:
            raise value
        return got[0] if got else value

    def __getattr__(self, name):
        return functools.partial(self.call, name)

    def adopt(self, fd):
        number = self.call("adopt", fds=[fd])
        os.close(fd)
        return number

    def leave(self):
        """Returns when it is no process any more."""
        self.channel.close()
        os.waitpid(self.pid, 0)


# Sockets, as the kernel's own listings have them.

def print_end(addr, port):
    return f"[{addr}]:{port}" if addr.version == 6 else f"{addr}:{port}"


@functools.lru_cache(None)
def parse_end(text):
    addr, port = text.split(":")
    raw = b"".join(bytes.fromhex(addr[i:i + 8])[::-1] for i in range(0, len(addr), 8))
    addr = ipaddress.ip_address(raw)
    if addr.version == 6 and addr.ipv4_mapped:
        addr = addr.ipv4_mapped
    return addr, int(port, 16), print_end(addr, int(port, 16))


class Sock:
    """A line of /proc/net/tcp of a world's namespace."""

    def __init__(self, net, field):
        self.saddr, self.sport, near = parse_end(field[1])
        self.daddr, self.dport, far = parse_end(field[2])
        self.net = net
        self.line = f"{near} {far}"
        self.key = net, self.line
        self.peer_key = net, f"{far} {near}"
        self.state = STATES[int(field[3], 16)]
        self.sendq, self.recvq = (int(n, 16) for n in field[4].split(":"))
        timer, when = (int(n, 16) for n in field[5].split(":"))
        self.mini = timer == TIME_WAIT_TIMER
        # In how many seconds there will be one more retransmission, if any.
        self.again = when / 100 if timer == RETRANSMIT_TIMER else None
        self.retrans = int(field[6], 16)
        self.uid = int(field[7])
        self.inode = int(field[9])
        self.orphan = not self.inode
        self.facts = None

    def full_line(self):
        return f"{self.line} {self.state}"


def key_of(net, ends):
    """Of two ends as getsockname() and getpeername() have them."""
    near, far = (print_end(parse_addr(addr), port) for addr, port in ends)
    return net, f"{near} {far}"


def parse_addr(text):
    addr = ipaddress.ip_address(text)
    return addr.ipv4_mapped if addr.version == 6 and addr.ipv4_mapped else addr


def snapshot(worlds):
    """All but listeners, of a namespace for each of these worlds."""
    socks = {}
    for world in worlds:
        for name in "tcp", "tcp6":
            for text in read(f"/proc/{world.pid}/net/{name}").splitlines()[1:]:
                field = text.split()
                if int(field[3], 16) in STATES:
                    sock = Sock(world.net, field)
                    socks[sock.key] = sock
    return socks


def inodes_of(pid):
    """The sockets that a process has open."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            if link.startswith("socket:["):
                inodes.add(int(link[8:-1]))
    return inodes
