"""Trees as their authors write them, and the callers and images that meet them: all from one random source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from gateway.model.stop import Stop, StopKind
from gateway.policy.facts import SOURCE_FACTS
from gateway.policy.reader import Source
from gateway.policy.rules import Policy
from gateway.policy.stops import laid_over, stop_rules
from tests.policy.campaign.conditions import CONDITIONS
from tests.policy.trees import compiled_from

Json = dict[str, Any]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
METHODS = ("copy-image", "glance-direct", "glance-download", "web-download")
HOSTS = ("a.example", "x.a.example", "y.x.a.example", "lookalikea.example", "b.example")
PATTERNS = (*HOSTS, "*.a.example", "*.x.a.example")
FORMATS, CONTAINERS = ("qcow2", "raw", "vmdk"), ("bare", "ova")
SCHEMES, PORTS = ("http", "https"), (80, 443, 8443)
STORES, REGIONS = ("a", "b", "c"), ("one", "two")
CREDENTIALS = ("mine", "ours")
TAGS, ROLES, PROJECTS, DOMAINS = ("gold", "silver"), ("admin", "member"), ("p1", "p2", "p3"), ("d1", "d2")
STAGES: tuple[Any, ...] = (
    "decompress",
    "inspect",
    {"checksum": {"algorithm": "sha256"}},
    {"checksum": {"algorithm": "sha512"}},
    "malware-scan",
    {"convert": {"target": "raw"}},
    {"convert": {"target": "qcow2"}},
    {"inject": {"a": "1"}},
    {"inject": {"b": "2"}},
)
SETS = {"vendors": ["a.example", "*.x.a.example"], "formats": ["qcow2", "raw"], "some": ["p1", "p2"]}
FOLDER = "_folder"
VERBS = ("allow", "limit", "require", "deny")
GUARDRAILS = ("limit", "require", "deny")
DAYS = (-2, -1, 0, 0, 1, 2)


@dataclass(frozen=True, slots=True)
class Topics:
    """What the rules of one tree are about: few things each, so that rules meet."""

    keys: list[str]
    conditions: list[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One tree, and one import by one caller: `who` is known at once, `image` is everything else there is to know."""

    documents: tuple[Json, ...]
    method: str
    who: Json
    image: Json
    stops: tuple[Stop, ...] = ()

    @property
    def facts(self) -> Json:
        return {**self.who, **self.image}


def case(number: int) -> Case:
    """The same one for the same number."""
    random = Random(number)
    method = random.choice([*METHODS, "web-download", "web-download"])
    documents = tuple(tree(random))
    return Case(documents, method, caller(random, documents), image(random, method), tuple(stops(random)))


def compiled(documents: tuple[Json, ...], stops: tuple[Stop, ...] = (), engine: str = "cel-expr") -> Policy:
    """The tree with the stops over it. Raises Problems."""
    sources = [source(number, one) for number, one in enumerate(documents)]
    return laid_over(compiled_from(*sources, methods=METHODS, engine_name=engine), stop_rules(stops))


def source(number: int, document: Json) -> Source:
    """A document says itself which folder it is in; a file does not."""
    written = {key: value for key, value in document.items() if key != FOLDER}
    return Source(f"{document.get(FOLDER, '')}f{number}.yaml", json.dumps(written).encode())


def tree(random: Random) -> list[Json]:
    """One to three files; grants are frequent, so that many trees allow something."""
    about = topics(random)
    grants = [rule(random, about, ("allow",), f"g{number}") for number in range(random.choice([1, 2, 2, 3]))]
    others = [rule(random, about, GUARDRAILS, f"r{number}") for number in range(random.choice([0, 1, 1, 2, 3]))]
    rules = grants + others
    random.shuffle(rules)
    count = min(len(rules), random.choice([1, 1, 2, 3]))
    files = [file(random, number, rules[number::count]) for number in range(count)]
    files[0]["sets"] = SETS
    if count > 1 and random.random() < 0.3:
        files[-1][FOLDER] = "team/"
        files[0]["delegates"] = [delegate(random, about, files[-1])]
    return files


def delegate(random: Random, about: Topics, file: Json) -> Json:
    """Who wrote the file may use the verbs it uses, and little else."""
    verbs = sorted({verb for rule in file["rules"] for verb in VERBS if verb in rule})
    found: Json = {"directory": "team", "verbs": verbs, "scope": selector(random)}
    return {**found, "within": within(random, about)} if random.random() < 0.4 else found


def stops(random: Random) -> Iterator[Stop]:
    known = {
        StopKind.METHOD: METHODS,
        StopKind.HOST: PATTERNS,
        StopKind.PROJECT: PROJECTS,
    }
    for kind, values in known.items():
        if random.random() < 0.04:
            value = random.choice(values)
            yield Stop(id=str(kind), kind=kind, value=value, message="Stopped.", reason="r", added_by="u", added_at=NOW)


def file(random: Random, number: int, rules: list[Json]) -> Json:
    """Exemptions stand in the file of their rules, which bounds both alike."""
    found: Json = {"version": 1, "policy": f"f{number}", "rules": rules}
    if random.random() < 0.15:
        found["scope"] = selector(random)
    elif exempt := [one for rule in rules for one in exemption(random, f"f{number}", rule)]:
        found["exemptions"] = exempt
    return found


def topics(random: Random) -> Topics:
    keys = [*random.sample(list(WITHIN), 2), random.choice(["max_size", "hosts"])]
    return Topics(list(dict.fromkeys(keys)), random.sample(list(CONDITIONS), 3))


def rule(random: Random, about: Topics, verbs: tuple[str, ...], name: str) -> Json:
    verb = random.choice(verbs)
    found: Json = {"id": name, verb: random.choice(["all", "all", random.sample(METHODS, random.randint(1, 2))])}
    if random.random() < 0.3:
        found["for"] = selector(random)
    if verb == "limit" or (verb == "allow" and random.random() < 0.6):
        found["within"] = within(random, about)
    if verb == "allow" and random.random() < 0.15:
        found["break_glass"] = {"roles": ["admin"], "max": "4h"}
    if verb == "require":
        found["stages"] = random.sample(STAGES, random.choice([1, 1, 2]))
    if conditions := random.sample(about.conditions, random.choice([1, 1, 2] if verb == "deny" else [0, 0, 0, 1, 2])):
        found["when"] = conditions[0] if len(conditions) == 1 and random.random() < 0.5 else conditions
    if verb in ("deny", "require") or random.random() < 0.3:
        found["message"] = random.choice(["Not {request.visibility}.", "Because."])
    if random.random() < 0.2:
        found["mode"] = random.choice(["enforce", "warn", "audit"])
    return {**found, **period(random)}


def period(random: Random) -> Json:
    days = sorted(random.sample(range(len(DAYS)), 2))
    since, until = (NOW + timedelta(days=DAYS[day]) for day in days)
    return {
        **({"from": written(since)} if random.random() < 0.15 else {}),
        **({"until": written(until)} if random.random() < 0.15 and since < until else {}),
    }


def written(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def selector(random: Random) -> Json:
    known = {"tags": TAGS, "roles": ROLES, "projects": PROJECTS, "domains": DOMAINS}
    keys = random.sample(list(known), random.choice([1, 1, 2]))
    return {key: random.sample(known[key], random.randint(1, 2)) for key in keys}


def some(random: Random, words: tuple[Any, ...]) -> list[Any]:
    return random.sample(words, random.randint(1, max(1, len(words) - 1)))


WITHIN: Mapping[str, Callable[[Random], Any]] = {
    "max_size": lambda random: f"{random.randint(2, 9)}B",
    "max_virtual_size": lambda random: f"{random.randint(2, 9)}B",
    "disk_formats": lambda random: random.choice([some(random, FORMATS), "sets.formats"]),
    "container_formats": lambda random: some(random, CONTAINERS),
    "hosts": lambda random: random.choice([some(random, PATTERNS), "sets.vendors"]),
    "schemes": lambda random: some(random, SCHEMES),
    "ports": lambda random: some(random, PORTS),
    "stores": lambda random: some(random, STORES),
    "regions": lambda random: some(random, REGIONS),
    "credentials": lambda random: some(random, CREDENTIALS),
}
"""Every limit key on one import, and how it is drawn."""


def within(random: Random, about: Topics) -> Json:
    keys = random.sample(about.keys, min(len(about.keys), random.choice([1, 1, 2, 3])))
    return {key: WITHIN[key](random) for key in keys}


def exemption(random: Random, policy: str, rule: Json) -> list[Json]:
    """None for most; of a limit some keys, of a requirement some stages."""
    if random.random() < 0.3 or "allow" in rule or "deny" in rule:
        return []
    who = {"for": selector(random), "until": written(NOW + timedelta(days=random.choice([-1, 0, 1, 1, 1])))}
    found = {"id": f"e-{rule['id']}", "rule": f"{policy}/{rule['id']}", **who, "reason": "r", "approved_by": "a"}
    if "limit" in rule:
        loose = {key: WITHIN[key](random) for key in rule["within"] if random.random() < 0.6}
        return [{**found, "within": loose}] if loose else []
    return [{**found, "without": [stage_name(random.choice(rule["stages"]))]}]


def stage_name(stage: Any) -> str:
    return stage if isinstance(stage, str) else next(iter(stage))


def caller(random: Random, documents: tuple[Json, ...] = ()) -> Json:
    """With what the project has imported so far, and what is opened for it."""
    glass = [f"{file['policy']}/{rule['id']}" for file in documents for rule in file["rules"] if "break_glass" in rule]
    first = {"project.imports.first_at": random.choice([0, 30])} if random.random() < 0.7 else {}
    return {
        **first,
        "project.imports.accepted": random.choice([0, 3, 9]),
        "project.imports.rejected": random.choice([0, 0, 1]),
        "project.opened": {
            name: {"id": "o", "by": "u1", "until": written(NOW)} for name in glass if random.random() < 0.5
        },
        "project.id": random.choice(PROJECTS),
        "project.name": "demo",
        "project.domain": random.choice(DOMAINS),
        "project.tags": random.choice([(), ("gold",), ("silver",), ("silver", "gold")]),
        "user.id": "u1",
        "user.roles": random.choice([("member",), ("admin",), ("admin", "member")]),
    }


def image(random: Random, method: str) -> Json:
    """Every fact the method can have, of an image whose bytes have been seen.

    Sometimes a size stays unknown, or the image is larger than was claimed: a claim counts against the one who makes
    it, so that who claims too much is refused at once.
    """
    size, disk_format = random.randint(0, 8), random.choice(FORMATS)
    scheme = random.choice(SCHEMES)
    known: Json = {
        "request.method": method,
        "request.host": random.choice(HOSTS),
        "request.scheme": scheme,
        "request.port": random.choice([{"http": 80, "https": 443}[scheme], 8443]),
        "request.path": random.choice(["/images/a", "/b"]),
        "request.region": random.choice(REGIONS),
        "request.credential": random.choice(["", "", *CREDENTIALS]),
        "request.disk_format": disk_format,
        "request.container_format": random.choice(CONTAINERS),
        "request.visibility": random.choice(["private", "shared", "public"]),
        "request.properties": random.choice([{}, {"k": "v"}, {"k": "w", "l": "v"}]),
        "request.stores": random.choice([("a",), ("b",), ("a", "c")]),
        "request.size": size,
        "content.size": size + random.choice([0, 0, 2]),
        "content.virtual_size": random.randint(0, 9),
        "content.disk_format": random.choice([disk_format, disk_format, "raw"]),
    }
    if random.random() < 0.1:
        del known["content.virtual_size"]
    return known_to(method, known)


def known_to(method: str, facts: Mapping[str, Any]) -> Json:
    """Without what the method never knows about a source."""
    sources = frozenset[str]().union(*SOURCE_FACTS.values()) - SOURCE_FACTS[method]
    return {name: value for name, value in facts.items() if name not in sources}
