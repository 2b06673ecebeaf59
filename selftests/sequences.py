#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
Random sequences of what can be done with connections, rules and /proc/net/tcp_drop, each step held
against a model that shares nothing with the module: sockets are what /proc/net/tcp and they
themselves say, processes what /proc/PID/fd shows, lists are gone through item by item.

TCPDROP_SEED is the first sequence, TCPDROP_SEQUENCES how many there are, TCPDROP_STEPS how long
each.
"""

import collections
import contextlib
import errno
import ipaddress
import os
import random
import socket
import sys
import time

sys.dont_write_bytecode = True
import worlds  # noqa: E402
from worlds import Puppet, World, errno_of, get, put, read  # noqa: E402

RULES = "/sys/kernel/config/tcpdrop"
PROC = "/proc/net/tcp_drop"
NAMES = ["sequence.1", "sequence.2", "sequence.3"]
COPY = "sequence.copy"
V4 = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.9.9"]
V6 = ["::1", "fd00::1", "fd00::2", "fd00:9::9"]
PORTS = [7001, 7002]
DEVS = ["lo", worlds.HOLE_DEV]
MARKS = [0, 5, 0x1234]
CONGESTIONS = ["reno", "cubic"]
PASSING = {"SYN_SENT", "SYN_RCVD", "FIN_WAIT_1", "LAST_ACK", "CLOSING"}
RESETTING = {"ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "FIN_WAIT_2"}
MOST = 30
# Those of clients are given one after another, so that a seed has the same rules for them.
FIRST_PORT = 39950

# For so many seconds the sockets are as they were looked at, and for so many the clock may go on
# before a socket is idle for longer, or has sent again more often, than the model takes it to be.
FRESH = 20
AHEAD = 1
# What the kernel knows about time to be less exact. Before 5.18 nobody else counted while the CPU that
# does so stood still.
RELEASE = tuple(int(n) for n in os.uname().release.split(".")[:2])
JIFFIES = 0.1 if RELEASE >= (5, 18) else 2.2
# What ends by itself, as what is in TIME_WAIT does after a minute, nobody could foretell.
OLD = 30


class Wrong(Exception):
    """What is not as the model says."""


class Unsure(Exception):
    """What the model cannot say, so nothing is done."""


def expect(what, is_, should_be):
    if is_ != should_be:
        raise Wrong(f"{what}: {is_}, not {should_be}")


def expect_one_of(what, is_, may_be):
    if is_ not in may_be:
        raise Wrong(f"{what}: {is_}, none of {sorted(may_be)}")


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
    addr = ipaddress.ip_address(rng.choice(V4 + V6 + [worlds.HOLE]))
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
    return draw_number(rng, [1, 1000, 1000], 1 << 32)


def draw_mark(rng):
    form = rng.choice([str, hex])
    mark = rng.choice(MARKS + [1])
    if rng.randrange(2):
        return form(mark), lambda value: value == mark
    mask = rng.choice([0, 1, 0xf, 0xff00, 0xffffffff])
    return f"{form(mark)}/{form(mask)}", lambda value: (value ^ mark) & mask == 0


def draw_name(names):
    def draw(rng):
        name = rng.choice(names)
        return name, lambda value: value == name
    return draw


GROUPS = {"all": set(worlds.STATES.values()), "connected": set(worlds.STATES.values()),
          "synchronized": set(worlds.STATES.values()) - {"SYN_SENT"},
          "bucket": {"TIME_WAIT", "SYN_RCVD"},
          "big": set(worlds.STATES.values()) - {"TIME_WAIT", "SYN_RCVD"},
          "estab": {"ESTABLISHED"}, "fin-wait2": {"FIN_WAIT_2"}, "Close-Wait": {"CLOSE_WAIT"}}


def draw_state(rng):
    name = rng.choice(sorted(set(worlds.STATES.values())) + sorted(GROUPS))
    means = GROUPS.get(name, {name})
    return name, lambda state: state in means


LISTS = {"saddr": draw_addr, "daddr": draw_addr, "sport": draw_port, "dport": draw_port,
         "port": draw_port, "state": draw_state, "uid": draw_uid, "mark": draw_mark,
         "dev": draw_name(DEVS + ["eth9"]), "congestion": draw_name(CONGESTIONS + ["bbr"]),
         "ulp": draw_name(["tls", "tls", "mptcp"]), "pid": None}
# What is written, as what it is shown, and what it means.
LEAST = [("any", "any", None), ("0", "0", 0), ("1\n", "1", 1), ("100", "100", 100),
         ("20000\n", "20000", 20000)]
YESNO = [("yes\n", "yes", True), ("no", "no", False)]
NO_LIMIT = [("0", "0", 0), ("any", "0", 0)]
SINGLES = {
    "idle": [("any", "any", None), ("0d", "0s", 0), ("2", "2s", 2), ("4000ms\n", "4s", 4),
             ("8s", "8s", 8), ("90m\n", "90m", 5400), ("86400", "1d", 86400)],
    "retrans": [("any", "any", None), ("0", "0", 0), ("1\n", "1", 1), ("03", "3", 3)],
    "sendq": LEAST, "recvq": LEAST,
    "orphan": [("any", "any", None)] + YESNO,
    "max": NO_LIMIT + [("1", "1", 1), ("3\n", "3", 3), ("1000", "1000", 1000)],
    "rate": NO_LIMIT + [("500\n", "500", 500), ("1000000", "1000000", 1000000)],
    "reset": [("any", "yes", True)] + YESNO,
    "kernel": [("any", "no", False), ("\n", "no", False), ("no", "no", False)] + YESNO,
}
DEFAULTS = dict.fromkeys(LISTS, "any")
DEFAULTS.update(idle="any", retrans="any", sendq="any", recvq="any", orphan="any", cgroup="any",
                netns="self", max="0", rate="0", reset="yes", kernel="no", protect="no")
# No selectors, so a rule has to have another attribute as well.
OPTIONS = {"netns", "max", "rate", "reset", "kernel", "protect"}
OF_FULL = {"uid", "sendq", "recvq", "orphan", "congestion", "ulp", "idle", "retrans", "cgroup",
           "pid"}
# What a line of /proc/net/tcp_drop can have.
OF_LINES = set(DEFAULTS) - {"netns", "uid", "pid", "cgroup", "kernel", "protect", "rate"}
FILES = set(DEFAULTS) | {"rule", "count", "list", "commit", "last_error", "result"}
RESULTS = {"matched", "dropped", "failed", "remaining", "elapsed_us", "states"}

NO_NUMBER = ["x", "-1", "1,2", "!1", "+1", "18446744073709551616"]
NO_ANSWER = ["maybe", "!yes", "1", "yes no"]
NO_NAME = ["a-name-of-16-let", "!", "lo,!+x", "..."]
BAD = {"saddr": ["1.2.3", "127.0.0.1/33", "::g", "127.0.0.2-127.0.0.1", "::1-127.0.0.1", "x"],
       "sport": ["0", "65536", "80x", "90-80", "-", "1-"], "state": ["timewait", "ALL!", "7"],
       "uid": ["-1", "x", "9-8", "99999999999"], "mark": ["0x", "1/", "4294967296", "-1", "5/1/1"],
       "pid": ["0", "-1", "x", "1-2", "2147483648"], "dev": NO_NAME, "congestion": NO_NAME,
       "ulp": NO_NAME, "idle": ["1w", "x", "1.5s", "s", "!1s", "1h30m", "-1"],
       "netns": ["here", "0", "!self", "self,all", "all,1", "net:[x]", "4294967296"],
       "cgroup": ["sequence", "/,/", "!", "!any"], "orphan": NO_ANSWER, "reset": NO_ANSWER,
       "kernel": NO_ANSWER, "protect": NO_ANSWER}
BAD.update(daddr=BAD["saddr"], dport=BAD["sport"], port=BAD["sport"])
BAD.update(dict.fromkeys(["retrans", "sendq", "recvq", "max", "rate"], NO_NUMBER))
NO_CGROUP = "/no/such/cgroup"


class Rule:
    def __init__(self, name):
        self.path = f"{RULES}/{name}"
        self.lists = {attr: [] for attr in LISTS}
        self.single = {attr: None for attr in DEFAULTS if attr not in LISTS}
        self.single.update(max=0, rate=0, reset=True, kernel=False, protect=False, netns="self")
        # What is to be shown of what is no list.
        self.shown = {attr: DEFAULTS[attr] for attr in self.single}
        self.refused = set()
        # The namespace of the process that has set protect.
        self.protects_in = None

    @property
    def protects(self):
        return self.single["protect"]

    def set_attrs(self):
        """The selectors that it has."""
        return {attr for attr, items in self.lists.items() if items} | \
            {attr for attr, value in self.single.items() if value is not None} - OPTIONS

    def for_line(self):
        """What can be said of it in a line of /proc/net/tcp_drop."""
        rule = Rule("line")
        for attr in OF_LINES:
            if attr in LISTS:
                rule.lists[attr] = self.lists[attr]
            else:
                rule.single[attr], rule.shown[attr] = self.single[attr], self.shown[attr]
        return rule

    def words(self):
        """The words of such a line."""
        words = [f"{attr}={','.join(item.text for item in items)}"
                 for attr, items in self.lists.items() if items]
        return words + [f"{attr}={text}" for attr, text in self.shown.items()
                        if text != DEFAULTS[attr]]

    @staticmethod
    def list_matches(items, values):
        """Of several values, one has to be meant, and none excluded."""
        if not values or any(item.excludes and item.means(value)
                             for item in items for value in values):
            return False
        wanted = [item for item in items if not item.excludes]
        return not wanted or any(item.means(value) for item in wanted for value in values)


def is_in_cgroup(cgroup, wanted):
    path, excludes = wanted
    return (path == "/" or cgroup == path or cgroup.startswith(path + "/")) != excludes


# What is there.

class Facts:
    """What a socket was given by those who made it, and keeps: nothing shows it of all of them."""

    def __init__(self, world, traits, since):
        self.cgroup = world.cgroup or "/"
        self.uid = None
        self.traits = traits
        # The last data went by between these two times.
        self.quiet = [since, None]


class Look:
    """The sockets at one moment, and which of them a rule means."""

    def __init__(self, of_each_net, owners):
        self.time = time.monotonic()
        self.lasts = FRESH
        self.socks = worlds.snapshot(of_each_net)
        self.pids = [world.pid for world in owners]
        self.holders = None

    def age(self):
        return time.monotonic() - self.time

    def is_over(self):
        return self.age() > self.lasts

    def holders_of(self, sock):
        if self.holders is None:
            self.holders = collections.defaultdict(set)
            for pid in self.pids:
                for inode in worlds.inodes_of(pid):
                    self.holders[inode].add(pid)
        return self.holders[sock.inode] if sock.inode else set()

    def values(self, attr, sock):
        if attr == "port":
            return {sock.sport, sock.dport}
        if attr == "pid":
            return self.holders_of(sock)
        if attr == "uid":
            return {sock.facts.uid}
        if attr in sock.facts.traits:
            return {sock.facts.traits[attr]}
        return {getattr(sock, attr)}

    def is_idle(self, sock, seconds):
        if sock.state == "SYN_SENT":
            return False
        if not seconds:
            return True
        first, last = sock.facts.quiet
        if last is not None and self.time - JIFFIES - last >= seconds:
            return True
        if self.time + FRESH + JIFFIES - first < seconds:
            return False
        self.lasts = AHEAD
        if self.time + AHEAD + JIFFIES - first < seconds:
            return False
        raise Unsure

    def has_sent_again(self, sock, times):
        if sock.retrans >= times:
            return True
        if sock.again is None:
            return False
        self.lasts = AHEAD
        # Some kernels send again each second in the beginning.
        if sock.again < AHEAD + JIFFIES and times - sock.retrans <= 2:
            raise Unsure
        return False

    def matches(self, rule, sock, self_net, kernel):
        """Does it, said by who is in this network namespace? What takes time last."""
        netns = rule.single["netns"]
        if not (netns == "all" or (sock.net == self_net if netns == "self" else sock.net in netns)):
            return False
        if kernel or (sock.mini and OF_FULL & rule.set_attrs()):
            return False
        single = rule.single
        for attr in "sendq", "recvq":
            if single[attr] is not None and getattr(sock, attr) < single[attr]:
                return False
        if single["orphan"] not in (None, sock.orphan):
            return False
        if single["cgroup"] and not is_in_cgroup(sock.facts.cgroup, single["cgroup"]):
            return False
        if not all(rule.list_matches(items, self.values(attr, sock))
                   for attr, items in rule.lists.items() if items):
            return False
        if single["retrans"] is not None and not self.has_sent_again(sock, single["retrans"]):
            return False
        return single["idle"] is None or self.is_idle(sock, single["idle"])


def bounds_of(socks):
    """How many are dropped at least, by state: of two ends that go, one takes the other along."""
    pairs = [sock for sock in socks.values() if sock.peer_key in socks]
    low = collections.Counter(sock.state for sock in socks.values())
    low -= collections.Counter(sock.state for sock in pairs)
    return low, len(socks) - len(pairs) // 2


class Stats:
    """What stats is to say: the least and the most of each number since it was read."""

    def __init__(self):
        self.path = f"{RULES}/stats"
        self.begin()

    def read(self):
        return {name: int(number) for name, number in
                (line.split() for line in read(self.path).splitlines())}

    def begin(self):
        self.base = self.read()
        self.low, self.high = collections.Counter(), collections.Counter()

    def add(self, name, number=1):
        self.low[name] += number
        self.high[name] += number

    def add_dropped(self, low, high, total_low, total_high):
        for name in "matched", "dropped":
            self.low[name] += total_low
            self.high[name] += total_high
        for state in high:
            self.low[f"dropped_{state}"] += low[state]
            self.high[f"dropped_{state}"] += high[state]

    def add_result(self, result, states):
        self.add_dropped(states, states, result["matched"], result["matched"])

    def add_socks(self, socks):
        low, total = bounds_of(socks)
        self.add_dropped(low, collections.Counter(sock.state for sock in socks.values()),
                         total, len(socks))

    def check(self):
        now = self.read()
        names = {"commits", "commits_refused", "lines", "matched", "dropped", "failed",
                 "dropped_LISTEN"} | {f"dropped_{state}" for state in worlds.STATES.values()}
        expect("names in stats", sorted(now), sorted(names))
        for name, number in now.items():
            grown = number - self.base[name]
            if not self.low[name] <= grown <= self.high[name]:
                raise Wrong(f"stats: {name} has grown by {grown}, not by {self.low[name]} to"
                            f" {self.high[name]}")
        expect("stats: matched", now["matched"], now["dropped"] + now["failed"])
        expect("stats: dropped", now["dropped"],
               sum(number for name, number in now.items() if name.startswith("dropped_")))
        self.begin()


def parse_states(text):
    return {name: int(number) for name, number in (line.split() for line in text.splitlines())}


class Cgroups:
    """Two groups, one below another, and one that goes with the process in it."""

    def __init__(self):
        self.top = f"{worlds.own_cgroup()}/sequence.{os.getpid()}"
        self.one, self.below = f"{self.top}/one", f"{self.top}/one/below"
        self.two, self.mortal = f"{self.top}/two", f"{self.top}/one/mortal"
        self.all = [self.top, self.one, self.below, self.two, self.mortal]
        for path in self.all:
            os.mkdir(worlds.cgroup_mount() + path)

    def remove(self, path):
        # It can be removed some time after its last process has ended.
        for _ in range(worlds.LOOKS):
            if errno_of(os.rmdir, worlds.cgroup_mount() + path) != errno.EBUSY:
                break
            time.sleep(0.01)
        expect("a control group is there", os.path.exists(worlds.cgroup_mount() + path), False)
        self.all.remove(path)

    def end(self):
        for path in self.all[::-1]:
            self.remove(path)


class Sequence:
    def __init__(self, seed):
        self.seed = seed
        self.rng = random.Random(seed)
        self.rules = {}
        self.said = []
        self.open = []
        self.facts = {}
        self.stuffed = set()
        self.next_port = FIRST_PORT
        self.seen = {}
        self.moved = set()
        self.rested = None
        self.told = collections.Counter()
        self.cgroups = Cgroups()
        # Before there are sockets, which they would have as well.
        self.puppets = [Puppet(0, self.cgroups.below), Puppet(0, self.cgroups.two)]
        self.mortal = Puppet(0, self.cgroups.mortal)
        self.other = Puppet(1, self.cgroups.one, own_net=True)
        self.main = World(0, worlds.own_cgroup())
        self.inodes = [self.main.inode_of_net(), self.other.inode_of_net()]
        self.dead = 2147483647
        self.listeners = {}
        put(PROC, "state=all\n")
        self.listen(self.main, self.puppets[0])
        self.listen(self.other, self.other)
        self.look_around()
        self.stats = Stats()

    def listen(self, one, two):
        """One port is served by a socket of each family, the other by one that is both."""
        first, second = PORTS
        self.listeners[one.net, socket.AF_INET, first] = one, one.listen(
            socket.AF_INET, first, 0, {"dev": "lo"})
        self.listeners[one.net, socket.AF_INET6, first] = one, one.listen(
            socket.AF_INET6, first, 1, {"congestion": "reno"})
        both = two, two.listen(socket.AF_INET6, second, 0, {"mark": MARKS[1]})
        for family in socket.AF_INET, socket.AF_INET6:
            self.listeners[one.net, family, second] = both

    def all_worlds(self):
        return [self.main, *self.puppets, self.other] + ([self.mortal] if self.mortal else [])

    # Coming to rest.

    def is_passing(self, sock):
        """Is something on its way, but to where nothing goes on?"""
        if sock.key in self.stuffed or str(sock.daddr) == worlds.HOLE:
            return False
        return sock.state in PASSING or (sock.sendq > 0 and not sock.mini)

    def settle(self):
        """The sockets when nothing is on its way any more."""
        before = None
        for _ in range(worlds.LOOKS):
            look = Look([self.main, self.other], self.all_worlds())
            socks = look.socks.values()
            now = sorted((sock.key, sock.state, sock.recvq) for sock in socks)
            if now == before and not any(map(self.is_passing, socks)):
                return look
            before = now
            time.sleep(0.01)
        raise Wrong(f"never at rest: {before}")

    def look_around(self):
        self.look, self.rested = self.rested or self.settle(), None
        socks = self.look.socks
        self.stuffed = {key for key in self.stuffed if key in socks and socks[key].sendq}
        self.facts = {key: facts for key, facts in self.facts.items() if key in socks}
        ages = {}
        for key, sock in socks.items():
            sock.facts = self.facts[key]
            if sock.inode:
                sock.facts.uid = sock.uid
            if key in self.moved and not {key, sock.peer_key} & self.stuffed:
                sock.facts.quiet[1] = self.look.time
            # How long it has been what ends by itself.
            kind = key, sock.mini or sock.orphan or sock.state == "SYN_SENT"
            ages[kind] = self.seen.get(kind, self.look.time)
        self.seen = ages
        self.moved = set()
        self.forget_ended()

    def moves(self, *keys):
        """Data go by from now on until it is looked at."""
        for key in keys:
            if key in self.facts:
                self.facts[key].quiet = [time.monotonic(), None]
                self.moved.add(key)

    def forget_ended(self):
        """What has been reset or dropped is closed, so that only what is there is used."""
        for entry in self.open[:]:
            world, number, key = entry
            if key not in self.look.socks or self.look.socks[key].mini:
                world.close(number)
                self.open.remove(entry)

    def is_old(self):
        return any(ends and self.look.time - since > OLD
                   for (_, ends), since in self.seen.items())

    def say(self, text):
        self.said.append(text)

    def clear_all(self):
        self.say("all is cleared")
        for rule in self.rules.values():
            if rule.protects:
                self.set_protect(rule, "no", False)
        for world in self.main, self.other:
            put(self.proc_of(world.net), "state=all\n")
        self.look_around()
        expect("left when all is cleared", sorted(self.look.socks), [])
        self.stats.begin()

    def proc_of(self, net):
        return f"/proc/{(self.main, self.other)[net].pid}/net/tcp_drop"

    def end(self):
        with contextlib.suppress(Wrong):
            self.clear_all()
        for rule in list(self.rules.values()):
            os.rmdir(rule.path)
        for sock in self.main.socks.values():
            sock.close()
        for world in self.all_worlds()[1:]:
            world.leave()
        self.cgroups.end()

    # Connections.

    def actor(self):
        """Who says what is to be done: mostly this process, or one in another namespace."""
        return self.other if self.rng.randrange(5) == 0 else self.main

    def draw_given(self, devs):
        given = {}
        for name, values in (("dev", devs), ("mark", MARKS), ("congestion", CONGESTIONS)):
            if self.rng.randrange(3) == 0:
                given[name] = self.rng.choice(values)
        return given

    def draw_own_port(self):
        self.next_port += 1
        return self.next_port

    def add(self, world, described, since):
        number, ends, traits = described
        key = worlds.key_of(world.net, ends)
        self.open.append((world, number, key))
        self.facts[key] = Facts(world, traits, since)
        self.moved.add(key)
        return key

    def connect(self):
        if len(self.open) >= MOST:
            return
        world = self.rng.choice([self.main] * 2 + self.all_worlds()[1:] + [self.other])
        family, pool = self.rng.choice([(socket.AF_INET, V4), (socket.AF_INET6, V6)])
        addr, to, port = self.rng.choice(pool), self.rng.choice(pool), self.rng.choice(PORTS)
        uid = self.rng.choice([0, 1000, 1001])
        given = self.draw_given(["lo"])
        since = time.monotonic()
        described = world.connect(family, uid, given, (addr, self.draw_own_port()), (to, port))
        key = self.add(world, described, since)
        server, listener = self.listeners[world.net, family, port]
        self.add(server, server.accept(listener), since)
        self.say(f"connect {key} as {uid} of {world.pid}, accepted by {server.pid}, {given}")

    def begin(self):
        if len(self.open) >= MOST:
            return
        world = self.rng.choice(self.all_worlds())
        given = self.draw_given([worlds.HOLE_DEV])
        uid = self.rng.choice([0, 1000])
        since = time.monotonic()
        described = world.begin(uid, given, self.draw_own_port(), self.rng.choice(PORTS))
        key = self.add(world, described, since)
        self.say(f"begin {key} as {uid} of {world.pid}, {given}")

    def half_close(self):
        if self.open:
            world, number, key = self.rng.choice(self.open)
            self.say(f"shutdown {key}")
            world.end_sending(number)

    def close(self):
        if self.open:
            world, number, key = self.open.pop(self.rng.randrange(len(self.open)))
            self.say(f"close {key} of {world.pid}")
            world.close(number)

    def send(self):
        if self.open:
            world, number, key = self.rng.choice(self.open)
            size = self.rng.choice([1, 100, 3000])
            self.say(f"send {size} {key}")
            if key not in self.stuffed:
                self.moves(key, self.look.socks[key].peer_key)
            world.send(number, size)

    def fill(self):
        """A peer that never reads: what is left in the queues stays there."""
        if not self.open:
            return
        world, number, key = self.rng.choice(self.open)
        sock = self.look.socks[key]
        peer = self.look.socks.get(sock.peer_key)
        if sock.state != "ESTABLISHED" or peer is None or peer.orphan or peer.mini or \
           {key, peer.key} & self.stuffed:
            return
        self.say(f"fill {key}")
        self.moves(key, peer.key)
        self.stuffed.add(key)
        world.fill(number)

    def retune(self):
        """Other traits than it was given when it was made."""
        if not self.open:
            return
        world, number, key = self.rng.choice(self.open)
        name, values = self.rng.choice([("mark", MARKS), ("congestion", CONGESTIONS),
                                        ("ulp", ["tls"])])
        if name == "ulp" and self.look.socks[key].state != "ESTABLISHED":
            return
        given = {name: self.rng.choice(values)}
        self.say(f"retune {key}: {given}")
        self.facts[key].traits = world.retune(number, given)

    def share(self):
        """A socket that another process has as well, which may be left alone with it."""
        if not self.open or len(self.open) >= MOST:
            return
        world, number, key = self.rng.choice(self.open)
        to = self.rng.choice(self.all_worlds())
        self.say(f"share {key} of {world.pid} with {to.pid}")
        self.open.append((to, to.adopt(world.share(number)), key))

    def leave(self):
        """A process exits, and its cgroup goes."""
        self.say(f"{self.mortal.pid} exits")
        self.mortal.leave()
        self.open = [entry for entry in self.open if entry[0] is not self.mortal]
        self.cgroups.remove(self.mortal.cgroup)
        self.dead, self.mortal = self.mortal.pid, None

    # Rules.

    def rule(self):
        return self.rules[self.rng.choice(sorted(self.rules))] if self.rules else None

    def make(self):
        name = self.rng.choice(NAMES + ["stats"])
        self.say(f"mkdir {name}")
        ret = errno_of(os.mkdir, f"{RULES}/{name}")
        expect("mkdir", ret, 0 if name in NAMES and name not in self.rules else errno.EEXIST)
        if not ret:
            rule = self.rules[name] = Rule(name)
            expect("files of a rule", set(os.listdir(rule.path)), FILES)
            expect("files of a result", set(os.listdir(f"{rule.path}/result")), RESULTS)
            expect("a new rule", {attr: read(f"{rule.path}/{attr}").strip() for attr in DEFAULTS},
                   DEFAULTS)

    def remove(self):
        name = self.rng.choice(NAMES)
        self.say(f"rmdir {name}")
        ret = errno_of(os.rmdir, f"{RULES}/{name}")
        expect("rmdir", ret, 0 if name in self.rules else errno.ENOENT)
        self.rules.pop(name, None)

    def write(self, rule, attr, text, should_be, shown=None, world=None):
        put_by = (world or self.main).put
        self.say(f"{rule.path}/{attr}: {text[:200]!r}")
        before = get(f"{rule.path}/{attr}")
        expect(f"{attr} {text[:200]!r}", put_by(f"{rule.path}/{attr}", text), should_be)
        after = get(f"{rule.path}/{attr}")
        error = get(f"{rule.path}/last_error")
        if should_be:
            expect(f"{attr} after a refusal", after, before)
            if not error.startswith(f'{attr}: "') or error.count("\n") != 1:
                raise Wrong(f"last_error: {error!r}")
            rule.refused.add(attr)
            return
        expect("last_error", error.strip(), "")
        if shown is not None:
            expect(f"{attr} shown", after.strip(), shown)
        # What is shown is taken, and shows the same.
        expect(f"{attr} {after!r}", put_by(f"{rule.path}/{attr}", after), 0)
        expect(f"{attr} written back", get(f"{rule.path}/{attr}"), after)
        rule.refused.discard(attr)

    def draw_pid(self):
        pid = self.rng.choice([world.pid for world in self.all_worlds()] + [self.dead, 1])
        return str(pid), lambda holder: holder == pid

    def draw_items(self, attr):
        items = []
        excluded = self.rng.choice([0, 0.25, 0.25, 1])
        for _ in range(self.rng.randrange(1, 5)):
            text, means = LISTS[attr](self.rng) if LISTS[attr] else self.draw_pid()
            items.append(Item(text, means, self.rng.random() < excluded))
        return items

    def join(self, items):
        return self.rng.choice([",", " ", ", "]).join(item.text for item in items)

    def make_room(self, rule, attr):
        """A rule of many attributes would match nothing, and tell nothing."""
        others = sorted(rule.set_attrs() - {attr})
        self.rng.shuffle(others)
        for other in others[self.rng.choice([0, 1, 1, 2]):]:
            self.unset(rule, other)

    def unset(self, rule, attr):
        self.write(rule, attr, self.rng.choice(["any", "\n", " any \n"]), 0, DEFAULTS[attr])
        if attr in LISTS:
            rule.lists[attr] = []
        else:
            rule.single[attr] = Rule("new").single[attr]
            rule.shown[attr] = DEFAULTS[attr]

    def set_list(self):
        rule = self.rule()
        if not rule:
            return
        attr = self.rng.choice(sorted(LISTS))
        items = self.draw_items(attr)
        adds = self.rng.randrange(3) == 0
        if adds and attr in rule.refused:
            # An incomplete list is not mended by an addition, nor does the model follow it.
            return
        text = ("+" if adds else "") + self.join(items) + "\n"
        if attr == "pid" and rule.protects:
            self.write(rule, attr, text, errno.EINVAL)
            return
        self.make_room(rule, attr)
        self.write(rule, attr, text, 0)
        rule.lists[attr] = (rule.lists[attr] if adds else []) + items
        self.look_at_one(rule)

    def clear(self):
        rule = self.rule()
        if rule:
            attr = self.rng.choice(sorted(DEFAULTS))
            if attr == "protect":
                self.set_protect(rule, self.rng.choice(["any", "\n"]), False)
            else:
                self.unset(rule, attr)

    def set_single(self):
        rule = self.rule()
        if not rule:
            return
        attr = self.rng.choice(sorted(SINGLES))
        text, shown, value = self.rng.choice(SINGLES[attr])
        if attr not in OPTIONS:
            self.make_room(rule, attr)
        self.write(rule, attr, text, 0, shown)
        rule.single[attr], rule.shown[attr] = value, shown
        self.look_at_one(rule)

    def set_cgroup(self):
        rule = self.rule()
        if not rule:
            return
        path = self.rng.choice(self.cgroups.all + ["/"])
        sign = self.rng.choice(["", "", "!"])
        text = sign + self.rng.choice([path, path.replace("/", "//"), path + "/"])
        self.make_room(rule, "cgroup")
        self.write(rule, "cgroup", text + "\n", 0, sign + path)
        rule.single["cgroup"], rule.shown["cgroup"] = (path, bool(sign)), sign + path
        self.look_at_one(rule)

    def set_netns(self):
        rule = self.rule()
        if not rule:
            return
        means = self.rng.choice(["self", "self", "all", "all", {0}, {1}, {0, 1}, {0, 1}, set()])
        if isinstance(means, str):
            text = shown = means
        else:
            # No namespace has 1.
            inodes = sorted([self.inodes[net] for net in means] + [1])
            shown = ",".join(map(str, inodes))
            text = " ".join(self.rng.choice(["{}", "net:[{}]"]).format(inode) for inode in inodes)
        self.write(rule, "netns", text + "\n", 0, shown)
        rule.single["netns"], rule.shown["netns"] = means, shown
        self.look_at_one(rule)

    def set_wrongly(self):
        rule = self.rule()
        if not rule:
            return
        attr = self.rng.choice(sorted(BAD))
        text, why = self.rng.choice(BAD[attr]), errno.EINVAL
        form = self.rng.randrange(8)
        if attr == "cgroup" and form < 3:
            gone = set() if self.mortal else {f"{self.cgroups.one}/mortal"}
            text, why = self.rng.choice(sorted(gone | {NO_CGROUP, "!" + NO_CGROUP})), errno.ENOENT
        elif form == 3:
            text, why = text.ljust(4096), errno.EFBIG
        elif form == 4:
            text = "any\0"
        elif attr in LISTS and form > 4:
            text = ",".join([item.text for item in self.draw_items(attr)] + [text])
        self.write(rule, attr, text + "\n", why)

    def is_gone(self, rule):
        """Has it the path of a cgroup that there is not?"""
        cgroup = rule.single["cgroup"]
        return cgroup is not None and cgroup[0] not in self.cgroups.all + ["/"]

    def confine(self, rule):
        """Sockets of namespaces that are not the sequence's must not match."""
        positive = [item.text for item in rule.lists["port"] if not item.excludes]
        ours = {str(port) for port in PORTS} | {"-".join(map(str, PORTS))}
        if rule.single["netns"] == "all" and not (positive and set(positive) <= ours):
            text = self.rng.choice(sorted(ours))
            first, last = int(text[:4]), int(text[-4:])
            self.write(rule, "port", text, 0, text)
            rule.lists["port"] = [Item(text, lambda port: first <= port <= last)]

    def set_protect(self, rule, text, yes, world=None):
        world = world or self.main
        self.write(rule, "protect", text, 0, "yes" if yes else "no", world)
        rule.single["protect"], rule.shown["protect"] = yes, "yes" if yes else "no"
        rule.protects_in = world.net

    def protect(self):
        rule = self.rule()
        if rule and rule.protects:
            self.set_protect(rule, "no", False)
            return
        if not rule or not rule.set_attrs():
            return
        self.confine(rule)
        why = ({errno.EINVAL} if rule.lists["pid"] else set()) | \
              ({errno.ENOENT} if self.is_gone(rule) else set())
        if why:
            self.say(f"{rule.path}: protect, which is refused")
            expect_one_of("protect", put(f"{rule.path}/protect", "yes"), why)
            expect("protect", read(f"{rule.path}/protect"), "no\n")
            rule.refused.add("protect")
        else:
            self.set_protect(rule, "yes\n", True, self.actor())

    # What is dropped.

    def is_protected(self, sock):
        return any(rule.protects and self.look.matches(rule, sock, rule.protects_in, False)
                   for rule in self.rules.values())

    def meant(self, rule, net):
        meant = {key: sock for key, sock in self.look.socks.items()
                 if self.look.matches(rule, sock, net, rule.single["kernel"]) and
                 not self.is_protected(sock)}
        self.told["some" if 0 < len(meant) < len(self.look.socks) else "none or all"] += 1
        return meant

    def left_by(self, dropped, reset):
        """The keys of what is to be there when these are gone, and the peers that heard of it."""
        gone = set(dropped)
        if reset:
            gone |= {sock.peer_key for sock in dropped.values()
                     if sock.state in RESETTING and not sock.mini}
        if any(key in self.stuffed and key not in gone and sock.peer_key in gone
               for key, sock in self.look.socks.items()):
            # It will hear of it when it asks next whether there is room.
            raise Unsure
        return set(self.look.socks) - gone

    def expect_left(self, what, left):
        self.rested = self.settle()
        expect(what, sorted(self.rested.socks), sorted(left))

    def look_at(self):
        rule = self.rule()
        if rule:
            self.look_at_one(rule)

    def look_at_one(self, rule):
        self.confine(rule)
        world = self.actor()
        meant = self.meant(rule, world.net)
        self.say(f"{rule.path}: count and list, by {world.pid}")
        count, listing = (world.get(f"{rule.path}/{name}") for name in ("count", "list"))
        if self.is_gone(rule):
            expect("count", count, errno.ENOENT)
            expect("list", listing, errno.ENOENT)
            return
        expect("count", count, f"{len(meant)}\n")
        expect("list", sorted(listing.splitlines()),
               sorted(sock.full_line() for sock in meant.values()))

    def look_at_all(self):
        net = self.actor().net
        meant = [sock.full_line() for sock in self.look.socks.values()
                 if sock.net == net and not self.is_protected(sock)]
        self.say(f"listing of {net}")
        expect("the listing", sorted(get(self.proc_of(net)).splitlines()), sorted(meant))

    def look_at_rule(self):
        """What is shown as a whole is what its files show, and makes the same rule."""
        rule = self.rule()
        if not rule:
            return
        self.say(f"{rule.path}/rule")
        text = read(f"{rule.path}/rule")
        lines = [line.split(" = ") for line in text.splitlines()]
        for attr, default in DEFAULTS.items():
            shown = ",".join(value for name, value in lines if name == attr)
            expect(f"{attr} in rule", shown or default, read(f"{rule.path}/{attr}").strip())
            if attr in rule.shown:
                expect(f"{attr}", shown or default, rule.shown[attr])
        if not self.is_gone(rule):
            self.copy(lines, text)

    def copy(self, lines, text):
        path = f"{RULES}/{COPY}"
        os.mkdir(path)
        try:
            before = set()
            for attr, value in lines:
                adds = "+" if attr in before else ""
                expect(f"{attr} {value} of rule", put(f"{path}/{attr}", f"{adds}{value}\n"), 0)
                before.add(attr)
            expect("rule of the copy", read(f"{path}/rule"), text)
        finally:
            os.rmdir(path)

    def look_at_stats(self):
        self.say("stats")
        self.stats.check()

    def results(self, rule):
        result = {name: int(read(f"{rule.path}/result/{name}"))
                  for name in ("matched", "dropped", "failed", "remaining", "elapsed_us")}
        return result, parse_states(read(f"{rule.path}/result/states"))

    def expect_result(self, rule, meant, seconds):
        result, states = self.results(rule)
        low, least = bounds_of(meant)
        high = collections.Counter(sock.state for sock in meant.values())
        self.stats.add("commits")
        self.stats.add_result(result, states)
        if not least <= result["matched"] <= len(meant):
            raise Wrong(f"{result} of {len(meant)}, at least {least}")
        elapsed = result.pop("elapsed_us")
        if not 0 <= elapsed <= seconds * 1e6 + 1e5:
            raise Wrong(f"{elapsed} us in {seconds} s")
        expect("result", result, {"matched": result["matched"], "dropped": result["matched"],
                                  "failed": 0, "remaining": 0})
        expect("sum of states", sum(states.values()), result["dropped"])
        if not all(low[state] <= states.get(state, 0) <= high[state] for state in {*states, *high}):
            raise Wrong(f"states {states}, not {dict(low)} to {dict(high)}")

    def commit(self):
        rule = self.rule()
        if not rule:
            return
        self.confine(rule)
        world = self.actor()
        meant = self.meant(rule, world.net)
        left = self.left_by(meant, rule.single["reset"])
        text = self.rng.choice(["1", "1\n", "1 \r\n"] * 3 + ["0", "11", "1 1", "yes"])
        reasons = {}
        if text.strip() != "1":
            reasons["what is not 1"] = errno.EINVAL
        if rule.protects:
            reasons["a protection"] = errno.EPERM
        if rule.refused or not rule.set_attrs():
            reasons["what is not complete"] = errno.EINVAL
        if self.is_gone(rule):
            reasons["a cgroup that is gone"] = errno.ENOENT
        most = rule.single["max"]
        before = self.results(rule)
        self.say(f"{rule.path}: commit {text!r} by {world.pid}")
        start = time.monotonic()
        ret = world.put(f"{rule.path}/commit", text)
        seconds = time.monotonic() - start
        error = read(f"{rule.path}/last_error")
        if not reasons and not (most and len(meant) > most):
            expect("commit", ret, 0)
            expect("last_error", error, "")
            self.expect_result(rule, meant, seconds)
            self.expect_left("left by the commit", left)
            return
        self.stats.add("commits_refused")
        if not error.startswith('commit: "'):
            raise Wrong(f"last_error of a commit: {error!r}")
        if reasons:
            expect_one_of(f"commit of {', '.join(reasons)}", ret, set(reasons.values()))
            expect("result of a commit that was refused", self.results(rule), before)
            if set(reasons) == {"what is not complete"} and rule.refused and \
               error.split('"1": ')[1].split(" ")[0] not in rule.refused:
                raise Wrong(f"{error!r}, refused are {rule.refused}")
        else:
            expect("commit beyond max", ret, errno.E2BIG)
            result, states = self.results(rule)
            del result["elapsed_us"]
            expect("result", (result, states), ({"matched": len(meant), "dropped": 0, "failed": 0,
                                                 "remaining": len(meant)}, {}))
        self.expect_left("left by a commit that was refused", set(self.look.socks))

    def spoil(self, words):
        """The words of a line that is to be refused."""
        attrs = [word.split("=")[0] for word in words]
        attr = self.rng.choice(sorted(OF_LINES - set(attrs)))
        bad = [text for text in BAD[attr] if " " not in text]
        wrong = [f"{attr}={self.rng.choice(bad)}", f"{attr}=", f"{attr}", words[0],
                 f"pid={self.main.pid}", "uid=0", f"cgroup={self.cgroups.top}", "netns=self",
                 "kernel=no", "rate=5", "protect=no", "count=1"]
        # A word without a sign at the beginning would make it no rule, but wrong all the same.
        return words + [self.rng.choice(wrong)]

    def drop_by_rule_line(self):
        rule = self.rule()
        if not rule:
            return
        rule = rule.for_line()
        words = rule.words()
        net = self.actor().net
        if not rule.set_attrs():
            return
        meant = self.meant(rule, net)
        left = self.left_by(meant, rule.single["reset"])
        most = rule.single["max"]
        spoilt = self.rng.randrange(5) == 0
        words = self.spoil(words) if spoilt else words
        self.rng.shuffle(words)
        line = " ".join(words)
        self.say(f"{net}: {line}")
        ret = put(self.proc_of(net), line + "\n")
        if spoilt:
            expect("the line that is wrong", ret, errno.EINVAL)
        elif most and len(meant) > most:
            expect("the line beyond max", ret, errno.E2BIG)
        else:
            self.stats.add("lines")
            self.stats.add_socks(meant)
            expect("the line", ret, 0 if meant else errno.ESRCH)
            self.expect_left("left by the line", left)
            return
        self.expect_left("left by a line that was refused", set(self.look.socks))

    def drop_by_lines(self):
        net = self.actor().net
        here = [key for key in self.facts if key[0] == net]
        keys = self.rng.sample(here, min(len(here), self.rng.randrange(4)))
        dropped = {key: self.look.socks[key] for key in keys
                   if not self.is_protected(self.look.socks[key])}
        left = self.left_by(dropped, True)
        lines = [line for _, line in keys]
        lines += self.rng.sample(["127.0.0.1:1 127.0.0.1:2", "[::1]:1 [::1]:2"],
                                 self.rng.randrange(2))
        good = len(lines)
        bad = self.rng.randrange(4) == 0
        lines += ["127.0.0.1:8x0 127.0.0.2:80"] if bad else []
        if not lines:
            return
        self.rng.shuffle(lines)
        self.say(f"{net}: " + " | ".join(lines))
        ret = put(self.proc_of(net), "".join(line + "\n" for line in lines))
        self.stats.add("lines", good)
        self.stats.add_socks(dropped)
        if bad:
            expect("lines", ret, errno.EINVAL)
        elif len(lines) > 1:
            expect("lines", ret, 0)
        else:
            expect("a line", ret, 0 if dropped else errno.EPERM if keys else errno.ESRCH)
        self.expect_left("left by lines", left)

    STEPS = [(connect, 16), (begin, 2), (half_close, 3), (close, 3), (send, 5), (fill, 2),
             (retune, 3), (share, 2), (make, 3), (remove, 1), (set_list, 10), (clear, 2),
             (set_single, 5), (set_cgroup, 2), (set_netns, 2), (set_wrongly, 2), (protect, 2),
             (look_at, 6), (look_at_all, 2), (look_at_rule, 1), (look_at_stats, 1), (commit, 5),
             (drop_by_rule_line, 3), (drop_by_lines, 2)]

    # After these nothing is as it was.
    MOVING = {connect, begin, half_close, close, send, fill, retune, share, leave}

    def step(self, number, step):
        """A step counts if the model knows what is to come, and is not late."""
        # Whatever has become of those before it.
        self.rng.seed(f"{self.seed}.{number}")
        try:
            step(self)
        except Unsure:
            self.say("which nobody can tell")
            self.told["unsure"] += 1
        except Wrong:
            if not self.look.is_over():
                raise
            self.say("which it was too late to tell")
            self.told["late"] += 1
            self.stats.begin()

    def run(self, steps):
        leaves_at = self.rng.randrange(steps // 4, steps * 3 // 4 + 1)
        choices = self.rng.choices([step for step, _ in self.STEPS],
                                   [weight for _, weight in self.STEPS], k=steps)
        for number, step in enumerate(choices):
            step = Sequence.leave if number == leaves_at else step
            self.step(number, step)
            # No more often than it takes: the kernel goes through a whole table for each look.
            if step in self.MOVING or self.rested or self.look.age() > AHEAD / 4:
                self.look_around()
            if self.is_old():
                self.clear_all()
        if (self.told["unsure"] + self.told["late"]) * 4 > steps:
            raise Wrong(f"of {steps} steps too many said nothing: {dict(self.told)}")


def main():
    if os.geteuid() or not os.path.isdir(RULES) or not os.path.exists(PROC):
        print("TAP version 13\n1..0 # SKIP needs root and the module")
        sys.exit(4)
    if "TCPDROP_OWN_NAMESPACES" not in os.environ:
        os.environ["TCPDROP_OWN_NAMESPACES"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable] + sys.argv)
    worlds.set_up_net()
    seed = int(os.environ.get("TCPDROP_SEED", 1))
    count = int(os.environ.get("TCPDROP_SEQUENCES", 4))
    steps = int(os.environ.get("TCPDROP_STEPS", 400))
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
        print(f"# how often a rule meant {dict(sequence.told)}")
        print(f"{verdict} {number + 1} {steps} steps of seed {seed + number} agree with the model",
              flush=True)
    print(f"# Totals: pass:{count - failed} fail:{failed} xfail:0 xpass:0 skip:0 error:0")
    sys.exit(1 if failed else 0)


main()
