#!/usr/bin/env python3
"""Compares next times of schedules with Python's time zones, as slowly and plainly as the manual page has it.

    SUPERVICE_SCHEDULE_CASES=1000000 cargo test --release --features internals --lib print_cases -- \\
        --ignored --nocapture | python3 tests/schedule_oracle.py

A line that begins with `case` has an expression, a zone, a moment, and the next time that supervice has found. Fields
are matched here by croniter where that is installed, which a zone without changes is enough for; what is done where
clocks are changed is written out below. Ends with 1 if anything differs.
"""

import re
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

MINUTE = 60
DAY = 86_400
WINDOW = 12 * DAY


def values(text, least, most):
    found = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = least, most
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class Line:
    def __init__(self, text):
        self.words = text.split()
        bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
        self.sets = [values(word, *bound) for word, bound in zip(self.words, bounds)]
        self.follows_elapsed = any(word.startswith("*") for word in self.words[:2])
        self.either_day = not any(word.startswith("*") for word in (self.words[2], self.words[4]))

    def matches_day(self, day):
        by_month = day.day in self.sets[2]
        by_week = (day.weekday() + 1) % 7 in self.sets[4]
        return day.month in self.sets[3] and (by_month or by_week if self.either_day else by_month and by_week)

    def matches(self, shown):
        return shown.minute in self.sets[0] and shown.hour in self.sets[1] and self.matches_day(shown)


def next_time(line, zone, after):
    """What a clock on the wall shows is watched minute by minute."""

    def shown(at):
        return datetime.fromtimestamp(at, timezone.utc).astimezone(zone).replace(tzinfo=None, fold=0)

    first = after // MINUTE * MINUTE + MINUTE
    if line.follows_elapsed:
        for at in range(first, after + WINDOW + 1, MINUTE):
            if line.matches(shown(at)):
                return at
        return None
    seen = max(shown(at) for at in range(first - 2 * DAY, first, MINUTE * 15))
    seen = max(seen, shown(first - MINUTE))
    for at in range(first, after + WINDOW + 1, MINUTE):
        now = shown(at)
        while seen < now:
            seen += timedelta(minutes=1)
            if line.matches(seen):
                return at
    return None


def check_fields(text, after):
    """The fields alone, in UTC: croniter's opinion."""
    from croniter import croniter

    start = datetime.fromtimestamp(after, timezone.utc)
    return int(croniter(text, start, day_or=True).get_next(datetime).timestamp())


def main():
    try:
        import croniter  # noqa: F401

        has_croniter = True
    except ImportError:
        has_croniter = False
    count = wrong = 0
    for text in sys.stdin:
        if not text.startswith("case\t"):
            continue
        _, expression, name, after, found = text.rstrip("\n").split("\t")
        after = int(after)
        found = None if found == "never" else int(found)
        line = Line(expression)
        count += 1
        expected = next_time(line, ZoneInfo(name), after)
        soon = found if found is not None and found <= after + WINDOW else None
        if soon != expected:
            wrong += 1
            print(f"'{expression}' in {name} after {after}: {found}, expected {expected}")
        if has_croniter and name == "UTC" and found is not None:
            # `*/2` is any day to cron and to us, to croniter it is a list; `6-6/5` it takes for `6-12/5`.
            odd = line.words[2].startswith("*/") or line.words[4].startswith("*/")
            if not (odd or re.search(r"\b(\d+)-\1/", expression)):
                theirs = check_fields(expression, after)
                if theirs != found:
                    wrong += 1
                    print(f"'{expression}' after {after}: {found}, croniter has {theirs}")
    print(f"{count} cases, {wrong} differences{'' if has_croniter else ' (without croniter)'}")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
