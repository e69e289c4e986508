"""A simulator with the Outbound services, and a gateway that is logged in to them."""
import json
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from harness import BOUND, PASSWORD, Case, Gateway, Simulator, bearer, exchange

USER = "outboundadmin"
UTILITY, CAMPAIGN, CONTACT = "OutboundUtilityWS", "OutboundCampaignWS", "OutboundContactWS"
SIZES = {101: 0, 102: 199, 103: 200, 104: 201, 105: 1234, 106: 20000}
CLOSED = 107  # there is such a campaign, but it is completed
CAMPAIGNS = "/v1/outbound/campaigns"


def first_id(campaign):
    return campaign * 100000 + 1


def ids_of(campaign, size=None):
    return list(range(first_id(campaign), first_id(campaign) + (SIZES[campaign] if size is None else size)))


def settings(sim, **more):
    return dict({"url": "http://127.0.0.1:%d/ccmmoutboundwebservices" % sim.port, "user": USER,
                 "password": {"file": "password"}, "intervalMs": 50}, **more)


class OutboundCase(Case):
    outbound = {}
    simulator_options = {"agents": 2}
    config = {}

    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator(**cls.simulator_options)
        try:
            cls.gate = cls.make_gateway()
        except BaseException:
            cls.sim.child.end()
            raise

    @classmethod
    def make_gateway(cls, **more):
        return Gateway(cls.sim, users=("supervisor",), **dict(cls.config, outbound=settings(cls.sim, **dict(cls.outbound, **more))))

    def get(self, path, who="campaigner", headers=None):
        return self.gate.get(path, who, headers)

    def items(self, path, who="campaigner", headers=None):
        answer = self.get(path, who, headers)
        self.assertEqual(answer.status, 200, answer)
        return answer.json["items"]

    def post(self, path, body=None, who="campaigner", headers=None):
        fields = dict(bearer(who), **(headers or {}))
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return exchange(self.gate.port, "POST", path, fields, body, timeout=BOUND)

    def close(self, campaign, contact, body=None, query="", who="campaigner"):
        return self.post("%s/%s/contacts/%s/close%s" % (CAMPAIGNS, campaign, contact, query), body, who)

    def calls_of(self, operation):
        return self.sim.counters()["operations"].get(operation, 0)

    def logins(self):
        return self.calls_of(UTILITY + ".OutboundLogin")

    def soap(self, service, operation, *fields, **more):
        """What another client of the Outbound services does; the texts of the reply's elements by their names."""
        return soap(self.sim, service, operation, *fields, **more)

    def login_elsewhere(self, password=PASSWORD):
        return self.soap(UTILITY, "OutboundLogin", ("username", USER), ("password", password))["OutboundLoginResult"]

    def logoff_elsewhere(self):
        self.soap(UTILITY, "OutboundLogoff", ("username", USER))


MESSAGES = "http://nortel.com/CCMMOutboundWebservices/"
TYPES = "http://datatypes.outboundwebservices.ccmm.applications.nortel.com"


def soap(sim, service, operation, *fields):
    parts = "".join("<%s>%s</%s>" % (n, v if v.startswith("<") else escape(v), n) for n, v in ((n, str(v)) for n, v in fields))
    envelope = ('<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><%s xmlns="%s">%s</%s></e:Body></e:Envelope>'
                % (operation, MESSAGES, parts, operation))
    answer = exchange(sim.port, "POST", "/ccmmoutboundwebservices/%s.asmx" % service,
                      {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": MESSAGES + operation}, envelope.encode())
    assert answer.status == 200, answer
    return {e.tag.split("}")[1]: e.text for e in ElementTree.fromstring(answer.body).iter()}


def append(sim, campaign, key, number):
    """A contact that somebody else adds."""
    d = ' xmlns="%s"' % TYPES
    contact = "".join("<%s%s>%s</%s>" % (n, d, v, n) for n, v in (
        ("ContactID", "0"), ("PhoneNumber", "<PhoneNo>%s</PhoneNo>" % number), ("PreferredAgentID", "0"),
        ("PreferredAgentSpecified", "false"), ("SkillsetID", "10001")))
    answer = soap(sim, CAMPAIGN, "AppendContactsToCampaign", ("CampaignID", campaign), ("contact", contact), ("sessionKey", key))
    assert answer["AppendContactsToCampaignResult"] == "1", answer
