"""The simulator's ground truth in the gateway's words, so that the two can be compared."""
import base64


def none_if_empty(value):
    return value if value not in ("", None) else None


def agent(a):
    return {"loginId": a["id"], "userName": a["userName"], "agentType": a["type"],
            "loginStatus": "LOGGED_IN" if a["loggedIn"] else "LOGGED_OUT",
            "readyStatus": ("READY" if a["ready"] else "NOT_READY") if a["loggedIn"] else None,
            "notReadyReasonCode": None if a["ready"] else none_if_empty(a["reasonCode"]),
            "voiceTerminal": a["staticVoiceTerminal"], "supervisor": a["supervisor"],
            "contactTypes": sorted(a["contactTypes"]),
            "terminals": sorted(a["terminals"]), "capabilities": a["capabilities"]}


def terminal(t):
    capabilities = dict(t["capabilities"])
    capabilities.update(t.get("agentTerminalCapabilities") or {})
    is_agents = t["type"] == "AGENT"
    return {"name": t["name"], "type": t["type"], "state": t["state"], "agent": none_if_empty(t["loggedIn"]),
            "doNotDisturb": t["doNotDisturb"], "ready": t["ready"] if is_agents else None,
            "activityCode": none_if_empty(t["activityCode"]) if is_agents else None,
            "addresses": sorted(t["addresses"]), "contactTypes": [t["contactType"]],
            "capabilities": capabilities, "forwarding": len(t["forwarding"])}


def address(a):
    return {"name": a["name"], "type": a["type"], "state": a["state"], "doNotDisturb": a["doNotDisturb"],
            "terminals": [a["terminal"]] if a["terminal"] else [], "uri": a["uri"],
            "controlled": a["controlled"] if a["type"] == "ROUTE_POINT" else None,
            "capabilities": a["capabilities"], "forwarding": len(a["forwarding"])}


def connection(c):
    capabilities = dict(c["capabilities"])
    capabilities.update(c.get("routePointConnectionCapabilities") or {})
    return {"connectionId": c["id"], "address": c["address"], "state": c["state"], "capabilities": capabilities,
            "terminalConnections": sorted((leg(t) for t in c["terminalConnections"]), key=lambda t: t["terminalConnectionId"])}


def leg(t):
    capabilities = dict(t["capabilities"])
    capabilities.update(t.get("agentTerminalConnectionCapabilities") or t.get("agentCapabilities") or {})
    return {"terminalConnectionId": t["id"], "terminal": t["terminal"], "state": t["state"],
            "capabilities": capabilities}


# a property that no operation reads: the contract's name, and the field of the call, which has it when an event has told it
TOLD = {"NETWORK_DIALED_ADDRESS": "networkDialledAddress", "SPEXTERNAL_ID": "spExternalId", "CALLED_ALIAS": "calledAlias",
        "CCM_ID": "ccmId", "NODE_ID": "nodeId", "SOURCE_SITE_GROUP_ID": "sourceSiteGroupId",
        "TARGET_AGENT_POSITION_ID": "targetAgentPositionId"}


def data(value):
    if isinstance(value, dict):
        return {"type": "KEY_VALUE_PAIRS", "value": value}
    if isinstance(value, str):
        return {"type": "STRING", "value": value}
    return {"type": "BINARY", "value": base64.b64encode(bytes(b & 0xff for b in value)).decode()}


def call(c):
    told = {TOLD[k]: int(v) if k == "CCM_ID" else v for k, v in c["properties"].items() if k in TOLD}
    return dict(told, contactId=c["contactId"], externalContactId=c["externalContactId"], provider=c["provider"],
                contactTypes=[c["contactType"]], calling=c["calling"], called=c["called"],
                callingTerminal=c["callingTerminal"], originalDestination=c["original"],
                lastRedirected=none_if_empty(c.get("lastRedirected")), data=data(c["data"]), uui=none_if_empty(c["uui"]),
                intrinsics=c["intrinsics"], consultOf=c["consultOf"], transferredFrom=c["transferredFrom"],
                capabilities=c["capabilities"],
                connections=sorted((connection(n) for n in c["connections"]), key=lambda n: n["connectionId"]))


def pick(shape, resource):
    """Of what the gateway says, that which `shape` has."""
    out = {}
    for key, value in shape.items():
        got = resource.get(key)
        if key == "connections":
            got = sorted(({k: (sorted(({m: t.get(m) for m in ("terminalConnectionId", "terminal", "state", "capabilities")}
                                       for t in n["terminalConnections"]), key=lambda t: t["terminalConnectionId"])
                               if k == "terminalConnections" else n.get(k))
                           for k in ("connectionId", "address", "state", "capabilities", "terminalConnections")}
                          for n in got or []), key=lambda n: n["connectionId"])
        elif key in ("terminals", "addresses", "contactTypes"):
            got = sorted(got or [])
        elif key == "transferredFrom":  # the simulator knows the last one
            got = got[-1] if got else None
        elif key == "forwarding":
            got = len(got or [])
        out[key] = got
    return out


def strip(shape, without):
    """Takes members out, at every depth."""
    for key in list(shape):
        if key in without:
            del shape[key]
        elif isinstance(shape[key], list):
            for entry in shape[key]:
                if isinstance(entry, dict):
                    strip(entry, without)
    return shape


SHAPES = {"agents": (agent, "loginId"), "terminals": (terminal, "name"), "addresses": (address, "name"),
          "calls": (call, "contactId")}


def differences(truth, listing, without=()):
    """[(what, id, field, truth, gateway)]; `listing(kind)` gives the gateway's items of a kind."""
    found = []
    for kind, (shape, key) in SHAPES.items():
        expected = {e[key]: e for e in map(shape, truth[kind])}
        got = {r[key]: r for r in listing(kind)}
        for name in sorted(set(expected) | set(got)):
            if name not in got or name not in expected:
                found.append((kind, name, "existence", name in expected, name in got))
                continue
            strip(expected[name], without)
            seen = strip(pick(expected[name], got[name]), without)
            found += [(kind, name, field, value, seen[field]) for field, value in expected[name].items()
                      if value != seen[field]]
    return found
