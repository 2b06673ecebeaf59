#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
Random sequences of what can be done with connections, rules and /proc/net/tcp_drop, each step held
against a model that shares nothing with the module: sockets are what /proc/net/tcp shows, lists are
gone through item by item.

TCPDROP_SEED is the first sequence, TCPDROP_SEQUENCES how many there are, TCPDROP_STEPS how long each.
"""

import errno
import ipaddress
import os
import random
import socket
import subprocess
import sys
import time

RULES = "/sys/kernel/config/tcpdrop"
PROC = "/proc/net/tcp_drop"
NAMES = ["sequence.1", "sequence.2", "sequence.3"]
V4 = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.9.9"]
V6 = ["::1", "fd00::1", "fd00::2", "fd00:9::9"]
PORTS = [7001, 7002]
STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RCVD", 4: "FIN_WAIT_1", 5: "FIN_WAIT_2",
          6: "TIME_WAIT", 8: "CLOSE_WAIT", 9: "LAST_ACK", 11: "CLOSING", 12: "SYN_RCVD"}
PASSING = {"SYN_SENT", "SYN_RCVD", "FIN_WAIT_1", "LAST_ACK", "CLOSING"}
RESETTING = {"ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2"}
MOST = 30


class Wrong(Exception):
    """What is not as the model says."""


def expect(what, is_, should_be):
    if is_ != should_be:
        raise Wrong(f"{what}: {is_}, not {should_be}")


# Sockets, as the kernel's own listings have them.

class Sock:
    def __init__(self, field):
        self.saddr, self.sport = self.end(field[1])
        self.daddr, self.dport = self.end(field[2])
        self.state = STATES[int(field[3], 16)]
        self.sendq, self.recvq = (int(n, 16) for n in field[4].split(":"))
        self.mini = field[5].startswith("03:")
        self.uid = int(field[7])
        self.orphan = field[9] == "0"

    @staticmethod
    def end(text):
        addr, port = text.split(":")
        raw = b"".join(bytes.fromhex(addr[i:i + 8])[::-1] for i in range(0, len(addr), 8))
        addr = ipaddress.ip_address(raw)
        if addr.version == 6 and addr.ipv4_mapped:
            addr = addr.ipv4_mapped
        return addr, int(port, 16)

    @staticmethod
    def print_end(addr, port):
        return f"[{addr}]:{port}" if addr.version == 6 else f"{addr}:{port}"

    def line(self):
        return f"{self.print_end(self.saddr, self.sport)} {self.print_end(self.daddr, self.dport)}"

    def peer_line(self):
        return f"{self.print_end(self.daddr, self.dport)} {self.print_end(self.saddr, self.sport)}"


def snapshot():
    """All but listeners, by their lines."""
    socks = {}
    for name in "tcp", "tcp6":
        with open(f"/proc/net/{name}") as file:
            for text in file.readlines()[1:]:
                field = text.split()
                if int(field[3], 16) in STATES:
                    sock = Sock(field)
                    socks[sock.line()] = sock
    return socks


def states_of(socks):
    return sorted((line, sock.state) for line, sock in socks.items())


def settle():
    """The sockets when nothing is on its way any more."""
    end = time.monotonic() + 20
    before = snapshot()
    while True:
        time.sleep(0.01)
        now = snapshot()
        still = states_of(now) == states_of(before)
        if still and not any(sock.state in PASSING for sock in now.values()):
            return now
        if time.monotonic() > end:
            raise Wrong(f"never at rest: {states_of(now)}")
        before = now


# The model of a rule.

class Item:
    """What a list has an item of: its text, and what it means."""

    def __init__(self, text, means, excludes=False):
        self.text = ("!" if excludes else "") + text
        self.means = means
        self.excludes = excludes


def in_range(first, last):
    return lambda addr: addr.version == first.version and first <= addr <= last


def draw_addr(rng):
    addr = ipaddress.ip_address(rng.choice(V4 + V6))
    form = rng.randrange(3)
    if form == 0:
        return str(addr), in_range(addr, addr)
    if form == 1:
        net = ipaddress.ip_network((addr, rng.randrange(addr.max_prefixlen + 1)), strict=False)
        return f"{addr}/{net.prefixlen}", in_range(net[0], net[-1])
    last = type(addr)(int(addr) + rng.randrange(600))
    return f"{addr}-{last}", in_range(addr, last)


def draw_number(rng, near, most):
    first = max(1, rng.choice(near) + rng.randrange(-1, 2))
    if rng.randrange(2):
        return str(first), lambda n: n == first
    last = min(most, first + rng.randrange(20000))
    return f"{first}-{last}", lambda n: first <= n <= last


def draw_port(rng):
    return draw_number(rng, PORTS + [40000], 65535)


def draw_uid(rng):
    return draw_number(rng, [1, 1000, 1001], 1 << 32)


GROUPS = {"all": set(STATES.values()), "connected": set(STATES.values()),
          "synchronized": set(STATES.values()) - {"SYN_SENT"},
          "bucket": {"TIME_WAIT", "SYN_RCVD"},
          "big": set(STATES.values()) - {"TIME_WAIT", "SYN_RCVD"},
          "estab": {"ESTABLISHED"}, "fin-wait2": {"FIN_WAIT_2"}, "Close-Wait": {"CLOSE_WAIT"}}


def draw_state(rng):
    name = rng.choice(sorted(set(STATES.values())) + sorted(GROUPS))
    means = GROUPS.get(name, {name})
    return name, lambda state: state in means


LISTS = {"saddr": draw_addr, "daddr": draw_addr, "sport": draw_port, "dport": draw_port,
         "port": draw_port, "state": draw_state, "uid": draw_uid}
OF_FULL = {"uid", "sendq", "recvq", "orphan"}
BAD = {"saddr": ["1.2.3", "127.0.0.1/33", "::g", "127.0.0.2-127.0.0.1", "::1-127.0.0.1", "x"],
       "sport": ["0", "65536", "80x", "90-80", "-", "1-"], "state": ["timewait", "ALL!", "7"],
       "uid": ["-1", "x", "9-8", "99999999999"], "sendq": ["x", "-1", "1,2", "!1"],
       "orphan": ["maybe", "!yes"], "max": ["x", "-1"], "reset": ["perhaps"]}
BAD.update(daddr=BAD["saddr"], dport=BAD["sport"], port=BAD["sport"], recvq=BAD["sendq"])


class Rule:
    def __init__(self, name):
        self.path = f"{RULES}/{name}"
        self.lists = {attr: [] for attr in LISTS}
        self.least = {"sendq": None, "recvq": None}
        self.orphan = None
        self.max = 0
        self.reset = True
        self.protects = False
        self.refused = set()

    @staticmethod
    def list_matches(items, *values):
        """Of several values, one has to be meant, and none excluded."""
        if any(item.excludes and item.means(value) for item in items for value in values):
            return False
        wanted = [item for item in items if not item.excludes]
        return not wanted or any(item.means(value) for item in wanted for value in values)

    def set_attrs(self):
        attrs = {attr for attr, items in self.lists.items() if items}
        attrs |= {attr for attr, least in self.least.items() if least is not None}
        return attrs | ({"orphan"} if self.orphan is not None else set())

    def matches(self, sock):
        if sock.mini and OF_FULL & self.set_attrs():
            return False
        for attr, least in self.least.items():
            if least is not None and getattr(sock, attr) < least:
                return False
        if self.orphan not in (None, sock.orphan):
            return False
        return all(self.list_matches(items, *((sock.sport, sock.dport) if attr == "port"
                                              else (getattr(sock, attr),)))
                   for attr, items in self.lists.items() if items)


# What is done, and what becomes of it.

def errno_of(call, *args):
    """The errno that a call fails with, or 0."""
    try:
        call(*args)
    except OSError as err:
        return err.errno
    return 0


def write_once(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def put(path, text):
    """The errno of a write, or 0."""
    return errno_of(write_once, path, text)


def get(path):
    with open(path) as file:
        return file.read()


class Sequence:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.rules = {}
        self.open = []
        self.said = []
        self.listeners = []
        # One port is served by a socket of each family, the other by one that is both.
        for port in PORTS:
            both = port == PORTS[1]
            self.listen(socket.AF_INET6, port, not both)
            if not both:
                self.listen(socket.AF_INET, port)
        self.look_around({})

    def listen(self, family, port, only_v6=None):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if only_v6 is not None:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        listener.bind(("", port))
        listener.listen(MOST)
        self.listeners.append(listener)

    def look_around(self, seen):
        self.socks = settle()
        self.seen = {line: seen.get(line, time.monotonic()) for line in self.socks}

    def say(self, text):
        self.said.append(text)

    def clear_all(self):
        """Before a socket in TIME_WAIT comes to its end by itself, which nobody could foretell."""
        self.say("all is cleared")
        for rule in self.rules.values():
            put(f"{rule.path}/protect", "no")
            rule.protects = False
        put(PROC, "state=all\n")
        self.look_around({})
        self.forget_ended()

    def end(self):
        self.clear_all()
        for rule in self.rules.values():
            os.rmdir(rule.path)
        for sock in self.open + self.listeners:
            sock.close()

    # Connections.

    def connect(self):
        if len(self.open) >= MOST:
            return
        family, pool = self.rng.choice([(socket.AF_INET, V4), (socket.AF_INET6, V6)])
        addr, to, port = self.rng.choice(pool), self.rng.choice(pool), self.rng.choice(PORTS)
        uid = self.rng.choice([0, 1000, 1001])
        os.seteuid(uid)
        try:
            client = socket.socket(family)
        finally:
            os.seteuid(0)
        client.bind((addr, 0))
        client.connect((to, port))
        listener = next(it for it in self.listeners if it.getsockname()[1] == port and
                        (it.family == family or port == PORTS[1]))
        self.open += [client, listener.accept()[0]]
        self.say(f"connect {client.getsockname()[:2]} to {to} {port} as {uid}")

    def half_close(self):
        if self.open:
            sock = self.rng.choice(self.open)
            self.say(f"shutdown {sock.getsockname()[:2]}")
            errno_of(sock.shutdown, socket.SHUT_WR)

    def close(self):
        if self.open:
            sock = self.open.pop(self.rng.randrange(len(self.open)))
            self.say("close one")
            sock.close()

    def send(self):
        if self.open:
            sock = self.rng.choice(self.open)
            size = self.rng.choice([1, 100, 3000])
            self.say(f"send {size}")
            errno_of(sock.send, b"x" * size, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def forget_ended(self):
        """What has been reset or dropped is closed, so that only what is there is used."""
        for sock in self.open[:]:
            if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7:
                sock.close()
                self.open.remove(sock)

    # Rules.

    def rule(self):
        return self.rules.get(self.rng.choice(NAMES))

    def make(self):
        name = self.rng.choice(NAMES)
        self.say(f"mkdir {name}")
        ret = errno_of(os.mkdir, f"{RULES}/{name}")
        expect("mkdir", ret, errno.EEXIST if name in self.rules else 0)
        if not ret:
            self.rules[name] = Rule(name)

    def remove(self):
        name = self.rng.choice(NAMES)
        self.say(f"rmdir {name}")
        ret = errno_of(os.rmdir, f"{RULES}/{name}")
        expect("rmdir", ret, 0 if name in self.rules else errno.ENOENT)
        self.rules.pop(name, None)

    def write(self, rule, attr, text, should_be):
        self.say(f"{rule.path}/{attr}: {text!r}")
        before = get(f"{rule.path}/{attr}")
        expect(f"{attr} {text!r}", put(f"{rule.path}/{attr}", text), should_be)
        after = get(f"{rule.path}/{attr}")
        error = get(f"{rule.path}/last_error")
        if should_be:
            expect(f"{attr} after a refusal", after, before)
            if not error.startswith(f"{attr}: "):
                raise Wrong(f"last_error: {error!r}")
            rule.refused.add(attr)
            return
        expect("last_error", error.strip(), "")
        # What is shown is taken, and shows the same.
        expect(f"{attr} {after!r}", put(f"{rule.path}/{attr}", after), 0)
        expect(f"{attr} written back", get(f"{rule.path}/{attr}"), after)
        rule.refused.discard(attr)

    def draw_items(self, attr):
        items = []
        for _ in range(self.rng.randrange(1, 5)):
            text, means = LISTS[attr](self.rng)
            items.append(Item(text, means, self.rng.randrange(4) == 0))
        return items

    def set_list(self):
        rule = self.rule()
        if not rule or rule.protects:
            return
        attr = self.rng.choice(sorted(LISTS))
        items = self.draw_items(attr)
        adds = self.rng.randrange(3) == 0
        text = self.rng.choice([",", " ", ", "]).join(item.text for item in items)
        if adds and attr in rule.refused:
            # An incomplete list is not mended by an addition, nor does the model follow it.
            return
        self.write(rule, attr, ("+" if adds else "") + text + "\n", 0)
        rule.lists[attr] = (rule.lists[attr] if adds else []) + items

    def clear(self):
        rule = self.rule()
        if rule and not rule.protects:
            attr = self.rng.choice(sorted(LISTS))
            self.write(rule, attr, self.rng.choice(["any", "\n", " any \n"]), 0)
            rule.lists[attr] = []

    def set_single(self):
        rule = self.rule()
        if not rule or rule.protects:
            return
        attr = self.rng.choice(["sendq", "recvq", "orphan", "max", "reset"])
        if attr == "orphan":
            rule.orphan = self.rng.choice([None, False, True])
            text = {None: "any", False: "no", True: "yes"}[rule.orphan]
        elif attr == "max":
            rule.max = self.rng.choice([0, 1, 3, 1000])
            text = str(rule.max)
        elif attr == "reset":
            rule.reset = self.rng.randrange(2) == 0
            text = "yes" if rule.reset else "no"
        else:
            rule.least[attr] = self.rng.choice([None, None, 0, 1, 100])
            text = "any" if rule.least[attr] is None else str(rule.least[attr])
        self.write(rule, attr, text + "\n", 0)

    def set_wrongly(self):
        rule = self.rule()
        if not rule or rule.protects:
            return
        attr = self.rng.choice(sorted(BAD))
        text = self.rng.choice(BAD[attr])
        if attr in LISTS and self.rng.randrange(2):
            text = ",".join([item.text for item in self.draw_items(attr)] + [text])
        self.write(rule, attr, text + "\n", errno.EINVAL)

    def protect(self):
        rule = self.rule()
        if not rule or not rule.set_attrs() or rule.refused:
            return
        self.say(f"{rule.path}: protect {not rule.protects}")
        expect("protect", put(f"{rule.path}/protect", "no" if rule.protects else "yes"), 0)
        rule.protects = not rule.protects

    # What is dropped.

    def is_protected(self, sock):
        return any(rule.protects and rule.matches(sock) for rule in self.rules.values())

    def meant(self, rule):
        return {line: sock for line, sock in self.socks.items()
                if rule.matches(sock) and not self.is_protected(sock)}

    def left_by(self, dropped, reset):
        """The lines of what is to be there when these are gone, and the peers that heard of it."""
        gone = set(dropped)
        if reset:
            gone |= {sock.peer_line() for sock in dropped.values()
                     if sock.state in RESETTING and not sock.mini}
        return set(self.socks) - gone

    def expect_left(self, what, left):
        expect(what, sorted(settle()), sorted(left))

    def look(self):
        rule = self.rule()
        if not rule or rule.protects:
            return
        meant = self.meant(rule)
        self.say(f"{rule.path}: count and list")
        expect("count", int(get(f"{rule.path}/count")), len(meant))
        expect("list", sorted(get(f"{rule.path}/list").splitlines()),
               sorted(f"{line} {sock.state}" for line, sock in meant.items()))

    def look_at_all(self):
        self.say("listing")
        expect("the listing", sorted(get(PROC).splitlines()),
               sorted(f"{line} {sock.state}" for line, sock in self.socks.items()
                      if not self.is_protected(sock)))

    def expect_result(self, rule, meant):
        """Of two ends that both match, the first takes the other along."""
        pairs = sum(sock.peer_line() in meant for sock in meant.values()) // 2
        result = {name: int(get(f"{rule.path}/result/{name}"))
                  for name in ("matched", "dropped", "failed", "remaining")}
        if not len(meant) - pairs <= result["matched"] <= len(meant):
            raise Wrong(f"{result} of {len(meant)}, {pairs} of them pairs")
        expect("result", result, {"matched": result["matched"], "dropped": result["matched"],
                                  "failed": 0, "remaining": 0})

    def commit(self):
        rule = self.rule()
        if not rule:
            return
        meant = self.meant(rule)
        self.say(f"{rule.path}: commit")
        ret = put(f"{rule.path}/commit", self.rng.choice(["1", "1\n", "1 \r\n"]))
        if rule.protects:
            expect("commit of a protection", ret, errno.EPERM)
        elif rule.refused or not rule.set_attrs():
            expect("commit of what is not complete", ret, errno.EINVAL)
        elif rule.max and len(meant) > rule.max:
            expect("commit beyond max", ret, errno.E2BIG)
            expect("matched", int(get(f"{rule.path}/result/matched")), len(meant))
        else:
            expect("commit", ret, 0)
            self.expect_result(rule, meant)
            self.expect_left("left by the commit", self.left_by(meant, rule.reset))
            return
        self.expect_left("left by a commit that was refused", set(self.socks))

    def drop_by_rule_line(self):
        rule = self.rule()
        if not rule or rule.protects or not rule.set_attrs():
            return
        words = [f"{attr}={','.join(item.text for item in items)}"
                 for attr, items in rule.lists.items() if items and attr != "uid"]
        words += [f"{attr}={least}" for attr, least in rule.least.items() if least is not None]
        words += [f"orphan={'yes' if rule.orphan else 'no'}"] if rule.orphan is not None else []
        if not words or rule.lists["uid"]:
            return
        words += [f"max={rule.max}"] if rule.max else []
        words += [] if rule.reset else ["reset=no"]
        self.rng.shuffle(words)
        meant = self.meant(rule)
        line = " ".join(words)
        self.say(line)
        ret = put(PROC, line + "\n")
        if rule.max and len(meant) > rule.max:
            expect("the line", ret, errno.E2BIG)
            meant = {}
        else:
            expect("the line", ret, 0 if meant else errno.ESRCH)
        self.expect_left("left by the line", self.left_by(meant, rule.reset))

    def drop_by_lines(self):
        lines = self.rng.sample(sorted(self.socks), min(len(self.socks), self.rng.randrange(4)))
        named = {line: self.socks[line] for line in lines}
        lines += self.rng.sample(["127.0.0.1:1 127.0.0.1:2", "[::1]:1 [::1]:2"],
                                 self.rng.randrange(2))
        bad = self.rng.randrange(4) == 0
        lines += ["127.0.0.1:8x0 127.0.0.2:80"] if bad else []
        if not lines:
            return
        self.rng.shuffle(lines)
        protected = {line for line, sock in named.items() if self.is_protected(sock)}
        dropped = {line: sock for line, sock in named.items() if line not in protected}
        self.say(" | ".join(lines))
        ret = put(PROC, "".join(line + "\n" for line in lines))
        if bad:
            expect("lines", ret, errno.EINVAL)
        elif len(lines) > 1:
            expect("lines", ret, 0)
        else:
            expect("a line", ret, errno.EPERM if protected else 0 if dropped else errno.ESRCH)
        self.expect_left("left by lines", self.left_by(dropped, True))

    STEPS = [(connect, 12), (half_close, 3), (close, 3), (send, 3), (make, 3), (remove, 1),
             (set_list, 10), (clear, 2), (set_single, 4), (set_wrongly, 2), (protect, 1), (look, 4),
             (look_at_all, 2), (commit, 4), (drop_by_rule_line, 2), (drop_by_lines, 2)]

    def run(self, steps):
        for _ in range(steps):
            step = self.rng.choices([step for step, _ in self.STEPS],
                                    [weight for _, weight in self.STEPS])[0]
            step(self)
            self.look_around(self.seen)
            self.forget_ended()
            if any(sock.mini and time.monotonic() - self.seen[line] > 30
                   for line, sock in self.socks.items()):
                self.clear_all()


def main():
    if os.geteuid() or not os.path.isdir(RULES) or not os.path.exists(PROC):
        print("TAP version 13\n1..0 # SKIP needs root and the module")
        sys.exit(4)
    if "TCPDROP_OWN_NAMESPACES" not in os.environ:
        os.environ["TCPDROP_OWN_NAMESPACES"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable] + sys.argv)
    subprocess.run("ip link set lo up; for addr in 1 2; do ip addr add fd00::$addr/128 dev lo;"
                   "done; ip addr add fd00:9::9/128 dev lo", shell=True, check=True)
    seed = int(os.environ.get("TCPDROP_SEED", 1))
    count = int(os.environ.get("TCPDROP_SEQUENCES", 4))
    steps = int(os.environ.get("TCPDROP_STEPS", 250))
    failed = 0
    print(f"TAP version 13\n1..{count}")
    for number in range(count):
        sequence = Sequence(seed + number)
        verdict = "ok"
        try:
            sequence.run(steps)
        except Wrong as wrong:
            verdict = "not ok"
            failed += 1
            for text in sequence.said[-60:] + [str(wrong)]:
                print(f"# {text}")
        sequence.end()
        print(f"{verdict} {number + 1} {steps} steps of seed {seed + number} agree with the model",
              flush=True)
    print(f"# Totals: pass:{count - failed} fail:{failed} xfail:0 xpass:0 skip:0 error:0")
    sys.exit(1 if failed else 0)


main()
