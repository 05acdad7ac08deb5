//! Numbers as `0,2-5`.

/// The text of numbers that are in order.
pub(crate) fn text(numbers: &[u16]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(first) = rest.first().copied() {
        let length = rest.iter().zip(first..=u16::MAX).take_while(|(number, expected)| **number == *expected).count();
        let (run, others) = rest.split_at(length);
        rest = others;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&first.to_string());
        if let [_, .., last] = run {
            text.push('-');
            text.push_str(&last.to_string());
        }
    }
    text
}

/// The numbers of a text, in order and each once; `None`: it is none of such, or one is above `max`.
pub(crate) fn parse(text: &str, max: u16) -> Option<Vec<u16>> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|number| *number <= max);
    let mut numbers: Vec<u16> = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        for number in number(first)?..=number(last).filter(|last| number(first) <= Some(*last))? {
            if let Err(at) = numbers.binary_search(&number) {
                numbers.insert(at, number);
            }
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_come_back_as_they_are_written() {
        for written in ["0", "0-3", "0,2-3", "1,3,5-9,64", "65535"] {
            assert_eq!(text(&parse(written, u16::MAX).expect("ranges")), written);
        }
        assert_eq!(parse("3, 1 - 2,2", 9), Some(vec![1, 2, 3]));
        assert_eq!(text(&[]), "");
        for wrong in ["", "a", "1-", "-1", "3-1", "1,,2", "10", "0-10"] {
            assert_eq!(parse(wrong, 9), None, "{wrong}");
        }
    }
}
