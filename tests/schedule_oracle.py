#!/usr/bin/env python3
"""Compares next times of schedules with Python's time zones, found as plainly as the manual page has it.

    tests/schedule_oracle.py --cases 50000 --seeds 20 --results target/schedule-oracle.txt

asks the library's tests for so many random cases of each seed and appends a line for each seed to the file; seeds that
are in it already are left out, so that a run which was ended goes on. --program names a built test program to ask in
place of `cargo test`, and `--seeds 7-7` asks for one seed. With - in place of all this, cases are read from the input:

    SUPERVICE_SCHEDULE_CASES=50000 SUPERVICE_SCHEDULE_SEED=7 cargo test --features internals --lib print_cases -- \\
        --ignored --nocapture | tests/schedule_oracle.py -

A line that begins with `case` has an expression, a zone, a moment, and the next time that supervice has found. What the
clock on the wall shows is followed through stretches in which it is not changed, which come from zoneinfo. Fields are
compared with croniter's as well, where that is installed, in UTC. Ends with 1 if anything differs.
"""

import argparse
import os
import re
import subprocess
import sys
from bisect import bisect_left
from datetime import date, datetime, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = 60
DAY = 86_400
# How far it looks, behind which nothing is compared with zones: what comes later is croniter's business.
WINDOW = 40 * DAY
EPOCH = date(1970, 1, 1).toordinal()

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()


def number(word):
    for names, least in ((MONTHS, 1), (WEEKDAYS, 0)):
        if word.lower() in names:
            return names.index(word.lower()) + least
    return int(word)


def values(text, least, most):
    found = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = least, most
        else:
            first, _, last = span.partition("-")
            first, last = number(first), number(last or first)
        found.update(range(first, last + 1, int(step or 1)))
    return sorted(found)


class Line:
    """The fields of one expression, and what times of a day they mean."""

    def __init__(self, text):
        words = text.split()
        if len(words) == 5:
            words.insert(0, "0")
        bounds = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
        seconds, minutes, hours, *self.days = (values(word, *bound) for word, bound in zip(words, bounds))
        self.seconds = seconds
        self.minutes_of_day = [60 * hour + minute for hour in hours for minute in minutes]
        self.follows_elapsed = any(word.startswith("*") for word in words[:3])
        self.either_day = not any(word.startswith("*") for word in (words[3], words[5]))

    def matches_day(self, day):
        month, of_month, weekday = fields_of(day)
        days, months, weekdays = self.days
        by_month, by_week = of_month in days, weekday in weekdays
        return month in months and (by_month or by_week if self.either_day else by_month and by_week)

    def first_of_day(self, second):
        """The first matching second of a day from this one on."""
        minute, second = divmod(second, MINUTE)
        place = bisect_left(self.minutes_of_day, minute)
        if place < len(self.minutes_of_day) and self.minutes_of_day[place] == minute:
            later = bisect_left(self.seconds, second)
            if later < len(self.seconds):
                return MINUTE * minute + self.seconds[later]
            place += 1
        if place < len(self.minutes_of_day):
            return MINUTE * self.minutes_of_day[place] + self.seconds[0]
        return None

    def first(self, start, end):
        """The first matching local time of start <= time < end."""
        for day in range(start // DAY, (end - 1) // DAY + 1):
            if self.matches_day(day):
                second = self.first_of_day(max(0, start - day * DAY))
                if second is not None:
                    found = day * DAY + second
                    return found if found < end else None
        return None


@lru_cache(maxsize=None)
def fields_of(day):
    """Month, day, and weekday with Sunday as 0, of a day since 1970."""
    found = date.fromordinal(EPOCH + day)
    return found.month, found.day, found.isoweekday() % 7


@lru_cache(maxsize=None)
def zone(name):
    return ZoneInfo(name)


def offset(name, at):
    return int(datetime.fromtimestamp(at, timezone.utc).astimezone(zone(name)).utcoffset().total_seconds())


@lru_cache(maxsize=None)
def stretches(name, day):
    """A day of UTC as (start, end, seconds ahead): looked at every hour, and every minute where hours differ."""
    start = day * DAY
    hours = [offset(name, at) for at in range(start, start + DAY + 1, 3600)]
    if len(set(hours)) == 1:
        return ((start, start + DAY, hours[0]),)
    found = []
    for at in range(start, start + DAY, MINUTE):
        ahead = offset(name, at)
        if found and found[-1][2] == ahead:
            found[-1][1] = at + MINUTE
        else:
            found.append([at, at + MINUTE, ahead])
    return tuple(map(tuple, found))


def between(name, start, end):
    for day in range(start // DAY, (end - 1) // DAY + 1):
        for first, last, ahead in stretches(name, day):
            first, last = max(first, start), min(last, end)
            if first < last:
                yield first, last, ahead


def next_time(line, name, after):
    """The first moment behind this one whose local time matches; or, for fixed times, at which the clock shows a
    matching one, or one behind it, that it has not shown yet."""
    if line.follows_elapsed:
        for start, end, ahead in between(name, after + 1, after + WINDOW + 1):
            local = line.first(start + ahead, end + ahead)
            if local is not None:
                return local - ahead
        return None
    seen = max(end - 1 + ahead for _, end, ahead in between(name, after - 2 * DAY, after + 1))
    for start, end, ahead in between(name, after + 1, after + WINDOW + 1):
        if seen + 1 < start + ahead and line.first(seen + 1, start + ahead) is not None:
            return start
        first = max(seen + 1, start + ahead)
        local = line.first(first, end + ahead) if first < end + ahead else None
        if local is not None:
            return local - ahead
        seen = max(seen, end - 1 + ahead)
    return None


try:
    from croniter import croniter
except ImportError:
    croniter = None


def opinion(text, after):
    """croniter's, in UTC; nothing where its rules are others: `*/2` is any day to cron and to us, a list to croniter,
    and `6-6` is the whole field to it."""
    words = text.split()
    if any(word.startswith("*/") for word in (words[-3], words[-1])):
        return None
    for first, last in re.findall(r"(\w+)-(\w+)", text):
        if number(first) == number(last):
            return None
    start = datetime.fromtimestamp(after, timezone.utc)
    found = croniter(text, start, day_or=True, second_at_beginning=True).get_next(datetime)
    return int(found.timestamp())


def compare(lines):
    """Cases, cases that croniter knows, differences."""
    count = asked = wrong = 0
    for text in lines:
        if not text.startswith("case\t"):
            continue
        _, expression, name, after, found = text.rstrip("\n").split("\t")
        after = int(after)
        found = None if found == "never" else int(found)
        count += 1
        expected = next_time(Line(expression), name, after)
        soon = found if found is not None and found <= after + WINDOW else None
        if soon != expected:
            wrong += 1
            print(f"'{expression}' in {name} after {after}: {found}, expected {expected}", flush=True)
        if croniter and name == "UTC" and found is not None:
            theirs = opinion(expression, after)
            if theirs is not None:
                asked += 1
                if theirs != found:
                    wrong += 1
                    print(f"'{expression}' after {after}: {found}, croniter has {theirs}", flush=True)
    return count, asked, wrong


def cases(program, count, seed):
    command = [program] if program else "cargo test --quiet --features internals --lib --".split()
    environment = dict(os.environ, SUPERVICE_SCHEDULE_CASES=str(count), SUPERVICE_SCHEDULE_SEED=str(seed))
    command += ["print_cases", "--ignored", "--nocapture"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        yield from child.stdout
    if child.returncode:
        sys.exit(f"{' '.join(command)}: it has ended with {child.returncode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", nargs="?", choices=["-"], help="read cases from the standard input")
    parser.add_argument("--cases", type=int, default=50_000, help="of each seed")
    parser.add_argument("--seeds", default="20", help="so many, or FIRST-LAST")
    parser.add_argument("--results", help="a file to which a line is added for each seed")
    parser.add_argument("--program", help="a built test program of the library")
    options = parser.parse_args()
    if options.input:
        count, asked, wrong = compare(sys.stdin)
        print(f"{count} cases, {asked} of them asked of croniter, {wrong} differences")
        return 1 if wrong or not count else 0
    first, _, last = options.seeds.rpartition("-")
    known = ""
    if options.results and os.path.exists(options.results):
        with open(options.results) as file:
            known = file.read()
    total = 0
    for seed in range(int(first or 1), int(last) + 1):
        if f"seed {seed}: {options.cases} cases" in known:
            continue
        count, asked, wrong = compare(cases(options.program, options.cases, seed))
        total += wrong + (count != options.cases)
        line = f"seed {seed}: {count} cases, {asked} of them asked of croniter, {wrong} differences"
        print(line, flush=True)
        if options.results:
            with open(options.results, "a") as file:
                file.write(line + "\n")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
