//! Whatever is in a file, loading it ends with a configuration or with errors.

use proptest::prelude::*;
use supervice::config::{parse_environment, read_env_file, split_command};

use crate::support::Files;

/// Pieces of configurations, so that random files come past the grammar.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[program:a]\n".to_owned()),
        Just("[group:g]\nprograms = a,b\n".to_owned()),
        Just("[supervice]\n".to_owned()),
        Just("[supervisord]\n".to_owned()),
        Just("[DEFAULT]\n".to_owned()),
        Just("command = ".to_owned()),
        Just("numprocs = 3\n".to_owned()),
        Just("environment = A=1,".to_owned()),
        Just("%(process_num)02d %(ENV_PATH)s %(here)s".to_owned()),
        "[a-z_]{1,12} = .{0,20}\n",
        "(healthcheck|stdout|socket)_[a-z]{1,8} = [0-9a-zA-Z/]{0,9}\n",
        ".{0,30}",
        Just("\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let files = Files::new("").with("main.ini", &bytes).with("env", &bytes);
        let _ = files.errors(false);
        let _ = read_env_file(files.dir().join("env"));
    }

    #[test]
    fn any_configuration_is_survived(pieces in proptest::collection::vec(piece(), 0..30)) {
        let files = Files::new(&pieces.concat());
        if let Ok(loaded) = files.try_load(false) {
            let json = supervice::config::to_json(&loaded.config, supervice::config::Secrets::Shown);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
        let _ = files.errors(true);
    }

    #[test]
    fn a_quoted_word_comes_back(word in ".{0,40}") {
        let quoted = format!("'{}'", word.replace('\'', r#"'"'"'"#));
        prop_assert_eq!(split_command(&quoted), Ok(vec![word]));
    }

    #[test]
    fn any_environment_is_survived(text in ".{0,60}") {
        if let Ok(pairs) = parse_environment(&text) {
            prop_assert!(pairs.iter().all(|(name, _)| !name.is_empty() && !name.contains('=')));
        }
    }
}
