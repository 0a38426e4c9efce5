"""A nat table as kube-proxy writes it: services that spread their connections over endpoints, by chains of their own.

    python -m bench.kube OUT.rules [--services N] [--endpoints N] [--seed N]

A service has two rules and a chain, an endpoint three rules and a chain: 4500 services of three endpoints are 50,000
rules in 18,000 chains.
"""
import argparse
import base64
import random
from ipaddress import IPv4Address

PORTS = (53, 80, 443, 3306, 5432, 6379, 8080, 9090)
HEAD = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
"""
BASE = """\
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
"""
TAIL = """\
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" \
-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
"""


def _service(number, endpoints, rng):
    """The chains of a service, its rule in KUBE-SERVICES, and the rules of its chains."""
    def chain(kind):
        return f"KUBE-{kind}-{base64.b32encode(rng.randbytes(10)).decode()}"

    svc, seps = chain("SVC"), [chain("SEP") for _ in range(endpoints)]
    protocol, port = rng.choice(("tcp", "tcp", "tcp", "udp")), rng.choice(PORTS)
    cluster_ip = IPv4Address("10.96.0.1") + number
    name = f"team-{number % 97}/app-{number}:{'dns' if port == 53 else 'http'}"
    portal = (f'-A KUBE-SERVICES -d {cluster_ip}/32 -p {protocol} -m comment --comment "{name} cluster IP" '
              f"-m {protocol} --dport {port} -j {svc}")
    rules = [f'-A {svc} ! -s 10.244.0.0/14 -d {cluster_ip}/32 -p {protocol} -m comment --comment "{name} cluster IP" '
             f"-m {protocol} --dport {port} -j KUBE-MARK-MASQ"]
    for at, sep in enumerate(seps):
        pod = f"{IPv4Address('10.244.0.1') + rng.randrange(1 << 18)}"
        target = f"{pod}:{port}"
        share = "" if at == endpoints - 1 else f" -m statistic --mode random --probability {1 / (endpoints - at):.11f}"
        rules += [f'-A {svc} -m comment --comment "{name} -> {target}"{share} -j {sep}',
                  f'-A {sep} -s {pod}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ',
                  f'-A {sep} -p {protocol} -m comment --comment "{name}" -m {protocol} '
                  f"-j DNAT --to-destination {target}"]
    return [svc, *seps], portal, rules


def ruleset(services, endpoints, seed=1):
    """The text."""
    rng = random.Random(seed)
    chains, portals, rules = [], [], []
    for number in range(services):
        own, portal, inside = _service(number, endpoints, rng)
        chains += own
        portals.append(portal)
        rules += inside
    lines = [*(f":{chain} - [0:0]" for chain in chains), BASE.rstrip("\n"), *portals, *rules]
    return HEAD + "\n".join(lines) + "\n" + TAIL


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--services", type=int, default=4500)
    parser.add_argument("--endpoints", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with open(args.out, "w", encoding="ascii") as file:
        file.write(ruleset(args.services, args.endpoints, args.seed))
