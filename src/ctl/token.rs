//! `token`: what a program proves itself with by HTTP. The daemon is not asked: it knows the hash alone.

use super::call::Call;
use super::exit::USAGE;
use super::print::print_error;

/// Prints a new token, and the line of `users_file` that lets it in.
pub(super) fn token(call: &Call<'_>) -> u8 {
    let name = call.args.names.first().map(String::as_str).unwrap_or_default();
    if name.contains([':', '#']) || name.chars().any(char::is_control) {
        print_error(&format!("'{name}' is no name of a user: it has a colon, a # or a control character"));
        return USAGE;
    }
    make(name)
}

#[cfg(feature = "http")]
fn make(name: &str) -> u8 {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let random = match crate::sys::random::sixteen_bytes() {
        Ok(random) => random,
        Err(error) => {
            print_error(&format!("no random bytes: {}", crate::util::errno::reason(&error)));
            return super::exit::FAILED;
        }
    };
    let token = hex(&random);
    let hash = hex(&hmac_sha256::Hash::hash(token.as_bytes()));
    super::print::print(&format!("token       {token}\nusers_file  {name}:{{SHA256}}{hash}\n"))
}

/// There is nothing that would take a token.
#[cfg(not(feature = "http"))]
fn make(_: &str) -> u8 {
    print_error(
        "this supervice was built without HTTP (the feature http of its crate): there is nobody who takes a token",
    );
    USAGE
}
