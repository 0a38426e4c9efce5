"""The dialogues between real programs that helpers listen to."""
from tests.captures import ftp, irc, pptp, sctp, sip, tftp

DIALOGUES = ftp.DIALOGUES | tftp.DIALOGUES | irc.DIALOGUES | sip.DIALOGUES | pptp.DIALOGUES | sctp.DIALOGUES
