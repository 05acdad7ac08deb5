//! Figures as a scrape tells them. A thousand programs have twenty thousand of them: the standard library's formatting would
//! take longer than all else that is written.

use std::time::Duration;

/// The value of a sample.
pub(super) trait Figure {
    /// Writes it behind the text.
    fn push(&self, text: &mut String);
}

impl Figure for u64 {
    fn push(&self, text: &mut String) {
        push_digits(*self, 1, text);
    }
}

impl Figure for u8 {
    fn push(&self, text: &mut String) {
        push_digits(u64::from(*self), 1, text);
    }
}

/// In seconds, to the microsecond.
impl Figure for Duration {
    fn push(&self, text: &mut String) {
        self.as_secs().push(text);
        let micros = u64::from(self.subsec_micros());
        if micros > 0 {
            text.push('.');
            push_digits(micros, 6, text);
            while text.ends_with('0') {
                text.pop();
            }
        }
    }
}

/// The number in so many digits at least.
fn push_digits(mut number: u64, least: usize, text: &mut String) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first = place;
        if number == 0 && place <= 20 - least {
            break;
        }
    }
    text.push_str(str::from_utf8(digits.get(first..).unwrap_or_default()).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(figure: &dyn Figure) -> String {
        let mut text = String::from("x ");
        figure.push(&mut text);
        text.split_off(2)
    }

    #[test]
    fn numbers_are_what_they_are() {
        for number in [0, 1, 9, 10, 99, 100, 1_234_567_890, u64::MAX - 1, u64::MAX] {
            assert_eq!(written(&number), number.to_string());
        }
        assert_eq!((written(&0_u8), written(&255_u8)), ("0".to_owned(), "255".to_owned()));
    }

    #[test]
    fn times_are_seconds_without_needless_digits() {
        for (nanos, wanted) in [
            (0, "0"),
            (1_000, "0.000001"),
            (999, "0"),
            (1_500_000_000, "1.5"),
            (100_020_000_000, "100.02"),
            (1_795_997_222_446_000_000, "1795997222.446"),
            (3_000_000_000, "3"),
        ] {
            assert_eq!(written(&Duration::from_nanos(nanos)), wanted);
        }
    }
}
