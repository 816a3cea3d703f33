#!/usr/bin/env python3
"""Writes calls of the legacy server: reviews in its models' own words, and text that is hostile to them.

    examples/legacy/run Words --models DIR [--models DIR]... | generate.py [--calls 20000] [--seed 1] > calls.jsonl

Reads the words of each model, a JSON object a line as `run Words` prints them, and writes a call a line:

    {"model": "spam", "client": "alehouse", "content_type": "application/jsonlines", "body": "…", "encoding": "utf8"}

with `"encoding": "base64"` for a body that is not UTF-8, and an `accept` for some. The same words, number and
seed give the same calls. Of any hundred calls, about

    58  are an object with a title, a text or both, in words of the model, of other models and of none
    20  hold a hostile piece amid such words, and 6 nothing else
     7  are text/plain
     5  are several lines, some of which can't be scored
     3  are one line that can't be scored, or only just can
     1  is refused as a whole
    12  of those repeat an earlier call, as real traffic does
"""

import argparse
import base64
import json
import random
import sys

CLIENTS = {"alehouse": 8, "toybox": 5, "gadgetry": 3, "bookworm": 2, "glowcare": 1, "petplanet": 1}
WEIGHTS = {"spam": 6, "offensive": 5, "severity": 4, "phrases": 4, "language": 3}
LINES, TEXT = "application/jsonlines", "text/plain"
REPEATED = 0.12
# Longer than any review, and short enough for a suite of seconds.
LONGEST = 60_000

CASE_MAPPINGS = (
    # Dotted and dotless i; final, medial and lonely sigma; sharp s, small and capital.
    "İstanbul ISTANBUL ıstanbul i\u0307stanbul IŞIK İYİ"
    "|ΟΔΟΣ ΟΔΟΣ. ΣΟΦΟΣ Σ ΑΣ' Σ'Α ΛΟΓΟΣ\u0301"
    "|STRASSE STRAẞE straße GRÖẞE"
    # Titlecase digraphs, ligatures, a long s, Kelvin and Angstrom signs, modifier and circled letters.
    "|ǅEP ǆep Ǆep ǈubav ǋiva|ﬁne oﬃce ﬅ ſale \u212aelvin \u212bngstrom|ᵃʰⓐⒶ ʼn ǰ ΐ"
    # Georgian, Cherokee, Glagolitic, Deseret, Adlam; Lithuanian dots; Dutch ij; fullwidth.
    "|ᲐᲑᲒ აბგ|Ꭰꭰ ᏸ|Ⱀⰰ|𐐀𐐨|𞤀𞤢|I\u0307\u0301 J\u0307 Į\u0303|Ĳssel ĳs|ＦＲＥＥ ｐｒｉｚｅ"
    # Letters whose case is younger than Java 17: Unicode 14, 15 and 16.
    "|Ⱟ ⱟ Ꟁ ꟁ Ꟑ Ꟗ Ꟙ|𐕰𐖗 𐖀|\u1c89\u1c8a \ua7cb \ua7cc \ua7da \ua7dc|\U00010d50\U00010d70"
    # Greek with iota subscripts, decomposed, and marks that come in another order.
    "|ᾈ ᾳ ᾼ ῼ Α\u0345 ὈΔΥΣΣΕΎΣ|ΆΈΉ Α\u0301Ε\u0301Η\u0301|a\u0323\u0301 a\u0301\u0323"
).split("|")

PIECES = [
    *CASE_MAPPINGS,
    # Emoji: skin tones, joiners, flags, keycaps, variation selectors, a joiner that joins nothing.
    *"😀|👍👍|👩\u200d👩\u200d👧|👍🏽|🇹🇷🇬🇷".split("|"),
    *"1\ufe0f\u20e3|❤\ufe0f ❤\ufe0e|\u200d|🏴\U000e0067\U000e0062\U000e007f".split("|"),
    # Composed and not, stacked marks, Hangul, compatibility forms.
    *"café cafe\u0301|ñ n\u0303|Z\u0351\u0343\u036ba\u0334l\u0321go\u0328|한글 \u1112\u1161\u11ab|① ½ ㎏ Ⅷ".split("|"),
    # Right to left, overrides and isolates, vowel points.
    *"مُمتاز جِدًّا|שָׁלוֹם|\u202eeerf\u202c|\u2067prize\u2069 \u200f\u200e|ﷺ لا ﻻ".split("|"),
    # NUL, control characters, white space that isn't ASCII's, a byte order mark, soft hyphens, noncharacters.
    *"\x00|fr\x00ee|\x01\x02\x1f|\x7f\x80\x85\x9f|\x0b \x0c|\x1c\x1d\x1e|free\u00a0prize\u2003now\u3000ok".split("|"),
    *"\ufeff|\u200b\u2060|pri\u00adze|\u2028 \u2029|\uffff \ufffd \ufdd0|\U0010ffff \U000e0001".split("|"),
    # Numbers, addresses, markup, code, other formats inside a text.
    *"0 -1 1e309 0x1F 1,000.50 £250 50% ٣٤ ４２|www.example.com http://example.com/?a=b&c=%20#x|a.b+c@example.co.uk".split("|"),
    *"<b>free</b><script>alert(1)</script> &amp; &#57361;".split("|"),
    *"{\"text\": \"win\", \"n\": [1, null]}|a,b\n\"c\"\"d\",e".split("|"),
    *"'; DROP TABLE reviews; --|${jndi:ldap://x} {{7*7}} %s %n|..\\..\\etc /etc/passwd|\\ \\\\ \\u0041 \\n|=1+1".split("|"),
    # Delimiters and nothing else, words glued by what is none, one letter.
    *" |\t\r\n|.,;:'\"()?!|...!!!???|\n\n\n|—–…“”‘’|free-prize free_prize free/prize|x|-|''''".split("|"),
    "",
]

# One line each: JSON that is none, values that are no text, and some that only look it.
ODD_LINES = """
{"text": "\\ud800"}|{"text": "win \\udc00\\ud800 now"}|{"title": "half \\ud83d", "text": "whole \\ud83d\\ude00"}
{"\\ud800": 1, "text": "a"}|{"other": "\\ud800", "text": "a free prize"}|{"text": 5}|{"text": true}
{"title": null, "text": null}|{"title": ["a"], "text": "b"}|{"text": {"text": "a"}}|{}|[]|[{"text": "a"}]|"text"|5
null|true|nonsense|{"text": "a"|{"text": "a",}|{'text': 'a'}|{text: "a"}|{"text": "a"} {"text": "b"}|{"text": "a"}x
{"text": "\\x41"}|{"text": "\\u00e"}|{"text": "a\tb"}|{"text": NaN}|{"text": 1e999}|{"text": -0}
{"n": 1e999, "text": "free"}|{"n": 01, "text": "a"}|{"n": 1., "text": "a"}|{"n": +1, "text": "a"}
{"n": .5, "text": "a"}|{"n": 1E+2, "text": "win"}|{"text": "first", "text": "free prize"}
{"text": 5, "text": "free prize"}|{"text": "free", "text": null}|{"title": "win", "title": "lose", "text": "x"}
{"instances": [{"text": "a"}]}|{"instances": 5, "text": "a free prize"}|{"Text": "a"}|{"te\\u0078t": "win a prize"}
{"text ": "a"}|{"text": null, "title": "win"}|{"title": "", "text": ""}|{"title": "", "text": "free"}
{"title": "free"}|{"text": "a", "rating": 5, "tags": ["x", {"y": []}], "z": null}|{"": "", "text": "b"}
\ufeff{"text": "a"}|\u00a0{"text": "a"}|  {"text" :"a" }  |{"text": "a"}\r|\u2003
{"text": "\\/\\b\\f\\n\\r\\t\\"\\\\"}|{"text": "a//b"} // c|\x00{"text": "a"}
""".strip("\n").replace("\n", "|").split("|") + [
    '{"deep": ' + "[" * 300 + "]" * 300 + ', "text": "free"}',
    '{"text": ' + "[" * 200 + "]" * 200 + "}",
    '{"text": ' + "[" * 200 + "}",
]

REFUSED = [
    ("application/xml", b"<text>a</text>"),
    ("", b"a"),
    (TEXT, b"caf\xe9"),
    (TEXT + "; charset=utf-8", b"\xed\xa0\x80 free"),
]


def main():
    arguments = parse_arguments()
    words = {line["model"]: line["words"] for line in map(json.loads, sys.stdin)}
    if not words:
        sys.exit("generate.py: there are no words on standard input; pipe `run Words --models DIR` into it")
    sys.stdout.reconfigure(encoding="utf-8")
    for call in calls(words, arguments.calls, arguments.seed):
        print(json.dumps(call, ensure_ascii=False))


def parse_arguments():
    parser = argparse.ArgumentParser(description="Writes calls of the legacy server, from its models' words.")
    parser.add_argument("--calls", type=int, default=20_000, help="how many [default: 20000]")
    parser.add_argument("--seed", type=int, default=1, help="other calls for another number [default: 1]")
    return parser.parse_args()


def calls(words, count, seed):
    """The calls; every odd line and every hostile piece alone is among the first few hundred."""
    writer = Writer(words, random.Random(seed))
    former = []
    for _ in range(count):
        if former and writer.random.random() < REPEATED:
            yield writer.random.choice(former)
            continue
        former.append(writer.call(len(former)))
        yield former[-1]


class Writer:
    """Makes up calls."""

    def __init__(self, words, source):
        self.words, self.random = words, source
        self.all = [word for known in words.values() for word in known]
        self.models = sorted(words)
        self.model_weights = [WEIGHTS.get(model, 1) for model in self.models]
        self.kinds = [self.fields, self.hostile, self.bare, self.plain, self.several, self.odd, self.refused]
        self.kind_weights = [58, 20, 6, 7, 5, 3, 1]

    def call(self, number):
        """A call of a kind by its weight; at first, of those that must not be missed in turn."""
        model = self.random.choices(self.models, self.model_weights)[0]
        client = self.random.choices(list(CLIENTS), CLIENTS.values())[0]
        if number % 4 == 0 and number // 4 < len(ODD_LINES):
            made = message(LINES, ODD_LINES[number // 4] + "\n")
        elif number % 4 == 2 and number // 4 < len(PIECES):
            made = message(LINES, self.line({"text": PIECES[number // 4]}))
        else:
            made = self.random.choices(self.kinds, self.kind_weights)[0](model)
        return {"model": model, "client": client, **made}

    def fields(self, model):
        return message(LINES, self.line(self.split(self.review(model))))

    def hostile(self, model):
        return message(LINES, self.line(self.split(self.infested(model))))

    def bare(self, _):
        """Hostile pieces alone, sometimes so many that the text is very long."""
        many = self.random.random() < 0.02
        count = self.random.randint(200, 2000) if many else self.random.randint(1, 4)
        glue = self.random.choice([" ", "", "\n", ".", "\u00a0"])
        return message(LINES, self.line(self.split(glue.join(self.random.choices(PIECES, k=count))[:LONGEST])))

    def plain(self, model):
        """A text as it is; most clients want to be answered with a line."""
        text = self.random.choice([self.review, self.infested])(model)
        content_type = self.random.choice([TEXT, TEXT, TEXT + "; charset=utf-8", "Text/Plain"])
        accept = {"accept": LINES} if self.random.random() < 0.8 else {}
        return message(content_type, text) | accept

    def several(self, model):
        """Lines of one body: most of them reviews, some odd or blank, the last perhaps without an end."""
        lines = [self.line(self.split(self.infested(model))) for _ in range(self.random.randint(2, 8))]
        for _ in range(self.random.choice([0, 0, 1, 2])):
            odd = self.random.choice([*ODD_LINES, "", "  ", "\t"])
            lines.insert(self.random.randint(0, len(lines)), odd + "\n")
        body = "".join(lines)
        return message(LINES, body if self.random.random() < 0.8 else body.rstrip("\n"))

    def odd(self, _):
        """A line that can't be scored, or only just can; beside its text something new, where there is room."""
        line = self.random.choice(ODD_LINES)
        if self.random.random() < 0.7 and line.endswith("}") and line.startswith('{"'):
            line = '{"id": ' + str(self.random.randint(1, 10**9)) + ", " + line[1:]
        return message(LINES, line + self.random.choice(["\n", "", "\r\n", "\n\n"]))

    def refused(self, _):
        content_type, body = self.random.choice(REFUSED)
        return message(content_type, body + b" %d" % self.random.randint(1, 10**6))

    def review(self, model):
        """Words of the model, and some that it does not know, a few to hundreds, with a review's punctuation."""
        count = self.random.choice([1, 2, 3, *range(4, 40), *range(4, 40), 120])
        if self.random.random() < 0.003:
            count = 4000
        return "".join(self.word(model) + self.random.choice(GAPS) for _ in range(count))[:LONGEST].rstrip(" ")

    def word(self, model):
        source = self.random.random()
        if source < 0.05:
            return "".join(self.random.choices("abcdefghijklmnopqrstuvwxyzäéıßσ", k=self.random.randint(1, 9)))
        word = self.random.choice(self.words[model] if source < 0.85 else self.all)
        # As people write: mostly as it is.
        return self.random.choice([str, str, str, str, str.capitalize, str.upper, str.swapcase, str.title])(word)

    def infested(self, model):
        """A review with hostile pieces in some places."""
        words = self.review(model).split(" ")
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randint(0, len(words) - 1)
            words[at] += self.random.choice([" ", "", "'"]) + self.random.choice(PIECES)
        return " ".join(words)

    def split(self, text):
        """The fields of a review."""
        at = self.random.randint(0, min(len(text), 40))
        fields = self.random.choice([{"text": text}, {"title": text[:at], "text": text[at:]}, {"title": text}])
        if self.random.random() < 0.2:
            fields["rating"] = self.random.randint(1, 5)
        if self.random.random() < 0.1:
            fields = dict(reversed(fields.items()))
        return fields

    def line(self, fields):
        """As JSON, with or without escapes beyond ASCII."""
        return json.dumps(fields, ensure_ascii=self.random.random() < 0.3) + "\n"


GAPS = [" "] * 24 + [", ", ". ", "! ", "? ", "; ", ": ", "\n", "... ", " - ", " (", ") ", "\"", "'", "/", "\t"]


def message(content_type, body):
    """A body as it is written down: text where it is UTF-8, else base64."""
    body = body if isinstance(body, bytes) else body.encode()
    try:
        return {"content_type": content_type, "body": body.decode(), "encoding": "utf8"}
    except UnicodeDecodeError:
        return {"content_type": content_type, "body": base64.b64encode(body).decode(), "encoding": "base64"}


if __name__ == "__main__":
    main()
