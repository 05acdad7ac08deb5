use super::*;

fn wrong(text: &str) -> String {
    let no = text.parse::<Schedule>().expect_err(text);
    format!("{}; {}", no.message, no.remedy)
}

fn calendar(text: &str) -> Calendar {
    match text.parse() {
        Ok(Schedule::Calendar(calendar)) => *calendar,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn fields_are_lists_ranges_steps_and_names() {
    let calendar = calendar("0,30 8-18/2 1-7,15 Jan-mar,12 mon-FRI");
    assert_eq!((calendar.seconds, calendar.minutes), (1, 1 | 1 << 30));
    assert_eq!(calendar.hours, [8, 10, 12, 14, 16, 18].iter().fold(0, |bits, hour| bits | 1 << hour));
    assert_eq!(calendar.days, 0b1111_1110 | 1 << 15);
    assert_eq!((calendar.months, calendar.weekdays), (0b1110 | 1 << 12, 0b11_1110));
    assert!(calendar.either_day && !calendar.follows_elapsed);
}

#[test]
fn a_sixth_field_before_the_others_is_the_second() {
    let six = calendar("*/20 0 3 * * *");
    assert_eq!((six.seconds, six.minutes, six.hours), (1 | 1 << 20 | 1 << 40, 1, 8));
    assert!(six.follows_elapsed);
    assert_eq!(calendar("5 0 3 * * 7").weekdays, 1, "Sunday");
    assert_eq!(calendar("0 3 * * 5-7").weekdays, 0b110_0001);
}

#[test]
fn what_is_any_is_told_by_the_first_star() {
    assert!(calendar("*/5 3 * * *").follows_elapsed && calendar("0 * * * *").follows_elapsed);
    assert!(!calendar("0-59/5 3 * * *").follows_elapsed);
    assert!(!calendar("0 0 */2 * mon").either_day && calendar("0 0 1-31/2 * mon").either_day);
}

#[test]
fn nicknames_and_intervals_are_written_back_as_they_were() {
    for text in
        ["@daily", "@hourly", "@reboot", "every 90s", "every 15m", "every 2h after end", "every 7d", "0 3 * * *"]
    {
        let schedule: Schedule = text.parse().expect(text);
        assert_eq!(schedule.to_string(), text);
        let written = serde_json::to_string(&schedule).expect("a text");
        assert_eq!(serde_json::from_str::<Schedule>(&written).expect(text), schedule);
    }
    assert_eq!("every 1h30m".parse(), Ok(Schedule::Interval { seconds: 5400, after_end: false }));
    assert_eq!("every 1h30m".parse::<Schedule>().map(|every| every.to_string()), Ok("every 90m".to_owned()));
}

#[test]
fn mistakes_have_their_remedy() {
    assert_eq!(wrong("0 3 * *"), format!("only 4 of the five fields; {FORMS}"));
    assert_eq!(wrong("0 0 3 * * * *"), format!("7 fields; {FORMS}"));
    assert_eq!(wrong("0 24 * * *"), "'24' is no hour; write a number from 0 to 23, ranges, lists or */STEP");
    assert_eq!(wrong("0 22-2 * * *"), "'22-2' in the field hour runs backwards; write 22-23,0-2");
    assert_eq!(wrong("0 0 * * fri-sun"), "'fri-sun' in the field weekday runs backwards; write 5-7");
    assert_eq!(wrong("5/15 * * * *"), "'5/15' in the field minute: a step needs a range; write 5-59/15");
    assert!(wrong("*/90 * * * *").ends_with("for longer intervals every 90m and the like"));
    assert_eq!(wrong("0 0 30 2 *"), "no month that it names has that day: it would never come; name another day");
    assert!("0 0 30 2 mon".parse::<Schedule>().is_ok(), "on Mondays");
    assert!(wrong("0 0 L * *").starts_with("'L' is no day of the month"));
    assert!(wrong("0 0 * * 1#2").starts_with("'1#2' is no weekday"));
    assert!(wrong("@dayly").starts_with("@dayly is not known"));
    for text in ["every", "every 5", "every m", "every 5x", "every 5m after", "every -5m", "every 5m after start"] {
        assert!(wrong(text).starts_with("not an interval"), "{text}");
    }
    assert_eq!(wrong("every 0s"), "an interval of nothing; write every 1s or more");
    assert!(wrong("every 99999999999999999999d").starts_with("not an interval"));
    assert!(wrong("every 400d").starts_with("an interval of more than a year"));
    for text in
        ["", "* * * * * ,", "1-2-3 * * * *", "+1 * * * *", "é * * * *", "*/0 * * * *", "1- * * * *", "** * * * *"]
    {
        assert!(text.parse::<Schedule>().is_err(), "{text}");
    }
}

const FORMS: &str = "write five fields (minute hour day month weekday) such as 0 3 * * *, @daily, or every 15m";
