#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets for shell tests: a command a line on standard input, an answer a line on standard output.

An answer is "ok" or "error" and what there is to say. A connection has two ends, "client" and
"server"; connections that were made together have one name and their ends come one after another.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import select
import socket
import struct
import sys
import threading
import time

TCP_REPAIR = 19
TCP_ULP = 31
FIN_WAIT_2 = 5
TIMEOUT = 60
CLONE_NEWNET = 0x40000000

SYS_userfaultfd = 323
UFFD_API = 0xAA
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_REGISTER_MODE_MISSING = 1
UFFDIO_ZEROPAGE = 0xC020AA04

libc = ctypes.CDLL(None, use_errno=True)
listeners = {}
connections = {}
stuck = []


class StuckSender:
    """A thread that sends from a page that is not there, holding the lock of the socket."""

    def __init__(self, sock):
        self.map = mmap.mmap(-1, mmap.PAGESIZE)
        self.page = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.faults = libc.syscall(SYS_userfaultfd, os.O_CLOEXEC)
        if self.faults < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        fcntl.ioctl(self.faults, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
        fcntl.ioctl(self.faults, UFFDIO_REGISTER, struct.pack(
            "QQQQ", self.page, mmap.PAGESIZE, UFFDIO_REGISTER_MODE_MISSING, 0))
        send = (sock.fileno(), ctypes.c_void_p(self.page), ctypes.c_size_t(1),
                socket.MSG_NOSIGNAL)
        self.thread = threading.Thread(target=libc.send, args=send)
        self.thread.start()
        if not select.select([self.faults], [], [], TIMEOUT)[0]:
            raise TimeoutError("the sender is not stuck")

    def let_go(self):
        fcntl.ioctl(self.faults, UFFDIO_ZEROPAGE, struct.pack(
            "QQQq", self.page, mmap.PAGESIZE, 0, 0))
        self.thread.join()
        os.close(self.faults)


@contextlib.contextmanager
def netns(name):
    """Sockets that are made meanwhile belong to a namespace that ip-netns(8) has made."""
    if not name:
        yield
        return
    with open("/proc/self/ns/net") as own, open("/run/netns/" + name) as other:
        if libc.setns(other.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(own.fileno(), CLONE_NEWNET)


def family_of(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def sockaddr(addr, port):
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return socket.getaddrinfo(addr, port, type=socket.SOCK_STREAM, flags=flags)[0][4]


def new_socket(family, dev):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if dev:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
    return sock


def listener_at(addr, port, dev, dual):
    """The listener there; a port of 0 is any port. A dual one takes IPv4 at an IPv6 socket."""
    key = (addr, port, dev)
    if key not in listeners:
        sock = new_socket(socket.AF_INET6 if dual else family_of(addr), dev)
        sock.bind(("::", port) if dual else sockaddr(addr, port))
        sock.listen(4096)
        key = (addr, sock.getsockname()[1], dev)
        listeners[key] = sock
    return listeners[key], key[1]


def end_of(name, which):
    return [pair[which] for pair in connections[name]]


def text_of(sock):
    local, remote = sock.getsockname(), sock.getpeername()
    return "%s %d %s %d" % (local[0], local[1], remote[0], remote[1])


def do_listen(addr, port="0", **options):
    """listen ADDR [PORT] [dev=NAME]: answer its port."""
    return listener_at(addr, int(port), options.get("dev"), False)[1]


def set_kind(sock, options):
    if "cc" in options:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, options["cc"].encode())
    if "ulp" in options:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, options["ulp"].encode())


def connect(addr, port, options):
    listener, port = listener_at(addr, port, options.get("dev"), "dual" in options)
    with netns(options.get("netns")):
        client = new_socket(family_of(addr), options.get("dev"))
    if "from" in options or "sport" in options:
        client.bind(sockaddr(options.get("from", addr), int(options.get("sport", 0))))
    client.connect(sockaddr(addr, port))
    server = listener.accept()[0]
    server.settimeout(TIMEOUT)
    set_kind(client, options)
    set_kind(server, options)
    return {"client": client, "server": server}, port


def do_connect(name, addr, port="0", **options):
    """connect NAME ADDR [PORT] [count=N] [from=ADDR] [sport=N] [dev=NAME] [cc=NAME] [ulp=NAME]
    [dual=1] [netns=NAME]: connect to ADDR, where a listener is made if there is none; answer the
    ends of the last connection as the client sees them. The namespace is that of the client."""
    pairs = connections.setdefault(name, [])
    port = int(port)
    for _ in range(int(options.get("count", 1))):
        pair, port = connect(addr, port, options)
        pairs.append(pair)
    return text_of(pairs[-1]["client"])


def do_syn(name, addr, port, **options):
    """syn NAME ADDR PORT from=ADDR: begin to connect to where nobody answers; answer the ends."""
    client = new_socket(family_of(addr), None)
    client.setblocking(False)
    client.bind(sockaddr(options["from"], 0))
    client.connect_ex(sockaddr(addr, int(port)))
    connections.setdefault(name, []).append({"client": client})
    local = client.getsockname()
    return "%s %d %s %s" % (local[0], local[1], addr, port)


def do_defer(name, addr, port):
    """defer NAME ADDR PORT: connect to a listener that waits for data to come: the server's end is
    a request, in SYN_RCVD, and stays one."""
    listener, port = listener_at(addr, int(port), None, False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 600)
    client = new_socket(family_of(addr), None)
    client.connect(sockaddr(addr, port))
    connections.setdefault(name, []).append({"client": client})
    return text_of(client)


def do_ends(name, which):
    """ends NAME WHICH: the ends of the last one."""
    return text_of(end_of(name, which)[-1])


def talks(pair):
    try:
        pair["client"].sendall(b"x")
        pair["server"].sendall(pair["server"].recv(1))
        return pair["client"].recv(1) == b"x"
    except OSError:
        return False


def do_alive(name):
    """alive NAME: how many of them carry data both ways."""
    return sum(talks(pair) for pair in connections[name])


def do_fate(name, which):
    """fate NAME WHICH: what a reader of the last one gets: "alive", "eof" or an errno."""
    sock = end_of(name, which)[-1]
    sock.setblocking(False)
    try:
        return "data" if sock.recv(1) else "eof"
    except BlockingIOError:
        return "alive"
    except OSError as err:
        return errno.errorcode[err.errno]
    finally:
        sock.settimeout(TIMEOUT)


def do_shut(name, which):
    """shut NAME WHICH: end the sending of these ends, which stay open."""
    for sock in end_of(name, which):
        sock.shutdown(socket.SHUT_WR)


def do_close(name, which):
    """close NAME WHICH"""
    for sock in end_of(name, which):
        sock.close()


def is_fin_wait_2(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == FIN_WAIT_2


def do_finish(name, which):
    """finish NAME WHICH: close both ends where they are open, this one first, so that it alone comes
    into TIME_WAIT. Were the other closed before it had the FIN of this one, both could."""
    other = "server" if which == "client" else "client"
    for first, last in zip(end_of(name, which), end_of(name, other)):
        if first.fileno() < 0:
            continue
        first.shutdown(socket.SHUT_WR)
        while not is_fin_wait_2(first):
            time.sleep(0.001)
        last.close()
        first.close()


def do_fill(name, which):
    """fill NAME WHICH: send until nothing more fits into the buffers."""
    for sock in end_of(name, which):
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(bytes(65536))
        sock.settimeout(TIMEOUT)


def do_sip(name, which):
    """sip NAME WHICH: read some of what has come."""
    for sock in end_of(name, which):
        sock.recv(1000000)


def do_stick(name, which):
    """stick NAME WHICH: have the last one's owner stuck in a system call, until all are let go."""
    stuck.append(StuckSender(end_of(name, which)[-1]))


def do_let_go():
    """let_go: of everybody who is stuck."""
    while stuck:
        stuck.pop().let_go()


def do_repair(name, which, mode):
    """repair NAME WHICH 1|0: begin or end a checkpoint of the last one."""
    end_of(name, which)[-1].setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, int(mode))


def do_churn(addr, seconds):
    """churn ADDR SECONDS: connect and close all the time; answer how often."""
    end = time.monotonic() + float(seconds)
    listener, port = listener_at(addr, 0, None, False)
    count = 0
    while time.monotonic() < end:
        client = new_socket(family_of(addr), None)
        client.connect(sockaddr(addr, port))
        server = listener.accept()[0]
        if count % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        server.close()
        count += 1
    return count


def do_forget():
    """forget: close everything, leaving nothing in the tables."""
    do_let_go()
    for pair in (pair for pairs in connections.values() for pair in pairs):
        for sock in pair.values():
            if sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
    for sock in listeners.values():
        sock.close()
    connections.clear()
    listeners.clear()


def obey(line):
    words = line.split()
    args = [word for word in words[1:] if "=" not in word]
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    return globals()["do_" + words[0]](*args, **options)


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    for line in sys.stdin:
        try:
            answer = obey(line)
            print("ok", "" if answer is None else answer, flush=True)
        except Exception as err:
            print("error", repr(err), flush=True)


main()
