"""Domains where anybody can have an e-mail address, so that nobody there is a colleague."""

_DOMAINS = """
126.com 139.com 163.com 189.cn aim.com aol.com bigpond.com bluewin.ch btinternet.com charter.net comcast.net
cox.net daum.net duck.com earthlink.net example.com fastmail.com foxmail.com free.fr freenet.de gmail.com
gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hanmail.net hey.com hotmail.co.uk hotmail.com hotmail.de
hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.com inbox.lv interia.pl laposte.net libero.it
live.co.uk live.com live.fr live.nl mac.com mail.com mail.ru mailbox.org me.com msn.com naver.com o2.pl
onet.pl optonline.net orange.fr outlook.com outlook.de outlook.es outlook.fr pm.me posteo.de proton.me
protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com
sky.com sohu.com t-online.de talktalk.net tutanota.com uol.com.br verizon.net virgilio.it virginmedia.com
vk.com wanadoo.fr web.de wp.pl xtra.co.nz yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br
yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru yeah.net ymail.com zohomail.com
"""

ANYBODYS_DOMAINS = frozenset(_DOMAINS.split())
