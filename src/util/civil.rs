//! Dates of the Gregorian calendar, from days since 1970 and back.

/// Days of 400 years.
const ERA: i64 = 146_097;
/// From the first of March of the year 0 to 1970.
const EPOCH: i64 = 719_468;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u32,
    /// From 1.
    pub(crate) day: u32,
}

/// The date of this day since 1970. Years are counted from March, so that the leap day is the last one.
pub(crate) fn date(days: i64) -> Date {
    let days = days + EPOCH;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March: 153 days in every five.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let from_january = (month + 2) % 12;
    // Both are small.
    Date { year: era * 400 + year + i64::from(from_january < 2), month: from_january as u32 + 1, day: day as u32 }
}

/// The days from 1970 to this date.
#[cfg(any(test, feature = "simulate"))]
pub(crate) fn days(date: Date) -> i64 {
    let Date { year, month, day } = date;
    let year = year - i64::from(month < 3);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = i64::from((month + 9) % 12);
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// From 0 for Sunday.
pub(crate) fn weekday(days: i64) -> u32 {
    // The first day was a Thursday.
    (days + 4).rem_euclid(7) as u32
}

/// Days of this month.
pub(crate) fn days_of_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = Date { year: 1600, month: 1, day: 1 };
        for number in -135_140..157_060 {
            assert_eq!((date(number), weekday(number)), (expected, ((number + 135_140 + 6) % 7) as u32));
            assert_eq!(days(expected), number);
            expected.day += 1;
            if expected.day > days_of_month(expected.year, expected.month) {
                (expected.day, expected.month) = (1, expected.month + 1);
            }
            if expected.month > 12 {
                (expected.month, expected.year) = (1, expected.year + 1);
            }
        }
        assert_eq!(date(0), Date { year: 1970, month: 1, day: 1 });
    }
}
