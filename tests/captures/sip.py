"""SIP: two sipp that call each other, with sound that is echoed (SDP, RTP), over UDP and over TCP."""
from tests.captures.stage import CLIENT, CLIENT6, SERVER, SERVER6, Dialogue

SOUND = bytes([0xD5]) * 800     # a tenth of a second of silence
HEADERS = """\
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: ann <sip:ann@[local_ip]:[local_port]>;tag=[call_number]
      To: bob <sip:bob@[remote_ip]:[remote_port]>[peer_tag_param]
      Call-ID: [call_id]
      Contact: <sip:ann@[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
"""
CALL = f"""\
<?xml version="1.0"?>
<scenario name="call">
  <send retrans="500"><![CDATA[
      INVITE sip:bob@[remote_ip]:[remote_port] SIP/2.0
{HEADERS}      CSeq: 1 INVITE
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=ann 1 1 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [rtpstream_audio_port] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
  ]]></send>
  <recv response="180" optional="true"/>
  <recv response="200"/>
  <send><![CDATA[
      ACK sip:bob@[remote_ip]:[remote_port] SIP/2.0
{HEADERS}      CSeq: 1 ACK
      Content-Length: 0

  ]]></send>
  <nop><action><exec rtp_stream="sound.raw,1,8,PCMA/8000"/></action></nop>
  <pause milliseconds="300"/>
  <send retrans="500"><![CDATA[
      BYE sip:bob@[remote_ip]:[remote_port] SIP/2.0
{HEADERS}      CSeq: 2 BYE
      Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"""
REGISTER = f"""\
<?xml version="1.0"?>
<scenario name="register">
  <send retrans="500"><![CDATA[
      REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
{HEADERS}      CSeq: 1 REGISTER
      Expires: 600
      Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
"""
REGISTRAR = """\
<?xml version="1.0"?>
<scenario name="registrar">
  <recv request="REGISTER"/>
  <send><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      [last_Contact:]
      Expires: 600
      Content-Length: 0

  ]]></send>
</scenario>
"""


def sipp(transport, address, *words, port=5060):
    """A command line of sipp at an address and port: one call, then it ends."""
    return ("sipp", "-nostdin", "-m", 1, "-timeout", 10, "-timeout_error", "-t", {"udp": "u1", "tcp": "t1"}[transport],
            "-i", address, "-mi", address, "-p", port, *words)


def call(stage, transport, caller, called, port=5060):
    """Somebody calls from a port, speaks and hangs up: caller and called are hosts with their addresses."""
    (host, address), (other, other_address) = caller, called
    answering = other.serve(transport, 5060, *sipp(transport, other_address, "-sn", "uas", "-rtp_echo"))
    to = f"[{other_address}]" if ":" in other_address else other_address
    host.run(*sipp(transport, address, "-sf", "call.xml", f"{to}:5060", port=port), cwd=stage.files)
    other.stop(answering)


def prepare(stage):
    """Scenarios and sound, for sipp to find."""
    for name, text in (("call", CALL), ("register", REGISTER), ("registrar", REGISTRAR)):
        stage.file(f"{name}.xml", text)
    (stage.files / "sound.raw").write_bytes(SOUND)


def udp(stage):
    """A call in each family."""
    prepare(stage)
    for client, server in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        call(stage, "udp", (stage.client, client), (stage.server, server))


def tcp(stage):
    """A call over TCP."""
    prepare(stage)
    call(stage, "tcp", (stage.client, CLIENT), (stage.server, SERVER))


def registered(stage):
    """The client registers, and is called where it said that it is, from another port than the registrar's."""
    prepare(stage)
    registrar = stage.server.serve("udp", 5060, *sipp("udp", SERVER, "-sf", "registrar.xml"), cwd=stage.files)
    stage.client.run(*sipp("udp", CLIENT, "-sf", "register.xml", f"{SERVER}:5060"), cwd=stage.files)
    stage.server.stop(registrar)
    call(stage, "udp", (stage.server, SERVER), (stage.client, CLIENT), port=5080)


DIALOGUES = {
    "sip_udp": Dialogue(udp, {"udp/5060": "sip"}, ("sipp",)),
    "sip_tcp": Dialogue(tcp, {"tcp/5060": "sip"}, ("sipp",)),
    "sip_registered": Dialogue(registered, {"udp/5060": "sip"}, ("sipp",)),
}
