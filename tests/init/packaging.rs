//! What `packaging/container` promises: its files are well-formed, agree with each other, and what is in them runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::container::{ALMOST, Container};
use super::harness::{SUPERVICE, outcome, wait_for};

pub fn skip(why: &str) {
    assert!(std::env::var_os("SUPERVICE_TEST_REQUIRE").is_none(), "must not be skipped here: {why}");
    println!("SKIPPED: {why}");
}

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(packaging().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Where the static binaries are: named by the environment, or built by
/// `RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --bins --target x86_64-unknown-linux-gnu`.
pub fn static_binaries() -> Option<PathBuf> {
    let named = std::env::var_os("SUPERVICE_TEST_STATIC").map(PathBuf::from);
    let built = ["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"]
        .map(|target| Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(target).join("release"));
    let found = named.into_iter().chain(built).find(|dir| dir.join("supervice").exists());
    if found.is_none() {
        skip("no static binary: SUPERVICE_TEST_STATIC names none, and none was built");
    }
    found
}

/// The number behind `key` in a file.
fn number_behind(text: &str, key: &str) -> u32 {
    let rest = text.split(key).nth(1).unwrap_or_else(|| panic!("{key} is missing"));
    let digits = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().expect("a number")
}

#[test]
fn the_configuration_has_no_errors() {
    let mut command = Command::new(SUPERVICE);
    command.args(["--check", "--strict", "-c"]).arg(packaging().join("example/supervice.conf"));
    let (code, out, errors) = outcome(command);
    assert_eq!(code, 0, "{out}{errors}");
}

#[test]
fn every_runtime_waits_longer_than_supervice() {
    let bound = number_behind(&read("example/supervice.conf"), "\nshutdown_timeout");
    for (file, key) in [
        ("kubernetes.yaml", "terminationGracePeriodSeconds:"),
        ("compose.yaml", "stop_grace_period:"),
        ("nomad.hcl", "kill_timeout"),
    ] {
        let grace = number_behind(&read(file), key);
        assert!(grace > bound, "{file}: {key} {grace} is not longer than shutdown_timeout = {bound}");
    }
    assert!(number_behind(&read("example/supervice.conf"), "\nstopwaitsecs") < bound);
}

#[test]
fn the_manifests_are_yaml_with_the_keys_that_they_need() {
    let script = r#"
import sys
try:
    import yaml
except ImportError:
    sys.exit(77)
base = sys.argv[1]
deployment = yaml.safe_load(open(base + "/kubernetes.yaml"))
assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
spec = deployment["spec"]
assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
pod = spec["template"]["spec"]
(container,) = pod["containers"]
volumes = {volume["name"] for volume in pod["volumes"]}
assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
    command = container[probe]["exec"]["command"]
    assert command[:2] == ["supervicectl", "health"], command
    # Its own time-out, 2 seconds, comes first and says why.
    assert container[probe]["timeoutSeconds"] > 2
    print(*command[1:])
(service,) = yaml.safe_load(open(base + "/compose.yaml"))["services"].values()
assert service["healthcheck"]["test"][0] == "CMD" and service["init"] is False
print(*service["healthcheck"]["test"][2:])
"#;
    let output = Command::new("python3").args(["-c", script]).arg(packaging()).output();
    let Ok(output) = output else { return println!("SKIPPED: python3 is not installed") };
    if output.status.code() == Some(77) {
        return println!("SKIPPED: python3 has no yaml");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // No daemon is an answer of a probe; wrong usage is none.
    for probe in String::from_utf8_lossy(&output.stdout).lines() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_supervicectl"));
        command.args(["-s", "/missing/socket"]).args(probe.split(' '));
        assert_eq!(outcome(command).0, 1, "{probe}");
    }
}

#[test]
fn the_files_that_the_images_copy_exist() {
    for (file, base) in [("Containerfile", "../.."), ("example/Containerfile", "example")] {
        let text = read(file);
        let copies =
            text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
        let mut seen = 0;
        for line in copies {
            let words: Vec<&str> = line.split(' ').collect();
            let sources = words.split_last().expect("a target").1;
            for source in sources.iter().filter(|source| **source != ".") {
                assert!(packaging().join(base).join(source).exists(), "{file}: {source}");
                seen += 1;
            }
        }
        assert!(seen >= 2, "{file}");
    }
    // Cargo.toml names them; the image's build makes empty ones.
    let manifest =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("Cargo.toml");
    for name in manifest.split("path = \"tests/").skip(1).filter_map(|rest| rest.split('/').next()) {
        let text = read("Containerfile");
        let made = text.split("for name in ").nth(1).and_then(|rest| rest.split(';').next()).expect("the loop");
        assert!(made.split(' ').any(|word| word == name), "Containerfile: add tests/{name} to the loop");
    }
}

/// The configuration of the example with the real nginx, a read-only root, and a network of its own.
#[test]
fn the_example_runs() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/sbin/nginx").exists() {
        return println!("SKIPPED: needs root and nginx");
    }
    let up = if Path::new("/usr/bin/busybox").exists() { "busybox ip link set lo up" } else { "ip link set lo up" };
    let example = packaging().join("example").display().to_string();
    let arrangement = format!(
        "{up} || exit 99; mount -t tmpfs none /usr/local/bin; cp {example}/worker.sh /usr/local/bin/worker; \
         mount -t tmpfs none /var/lib/nginx; mount -t tmpfs none /var/log/nginx; mount -t tmpfs none /run; \
         mount -o remount,bind,ro / || exit 98;"
    );
    let config = read("example/supervice.conf");
    let Some(mut container) = Container::with(&["--mount", "--net"], &arrangement, &config, |_| {}) else { return };
    let pid = container.pid();
    let health = || {
        let mut command = Command::new("nsenter");
        command.args([&format!("--target={pid}"), "--net", env!("CARGO_BIN_EXE_supervicectl"), "-s", "@supervice"]);
        command.args(["health", "--ready"]);
        outcome(command)
    };
    let begin = Instant::now();
    wait_for("all of it is well", || {
        let (code, out, errors) = health();
        assert!(begin.elapsed() < ALMOST, "{out}{errors}\n{}", container.log());
        (code == 0).then_some(())
    });
    wait_for("the health check of nginx has passed", || {
        let log = container.log();
        (log.contains("worker 00 begins") && log.contains("worker 01 begins")).then_some(())
    });
    container.signal(15);
    let (code, log) = container.end();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("worker:00 | worker 00 ends") && !log.contains("FATAL"), "{log}");
}

/// What `FROM scratch` holds: the two binaries, a configuration, nothing else; not even /proc, /dev or /tmp.
#[test]
fn the_static_binary_runs_in_an_empty_root() {
    let Some(binaries) = static_binaries() else { return };
    if !nix::unistd::geteuid().is_root() {
        return println!("SKIPPED: needs root for chroot");
    }
    let name = format!("@supervice-scratch-{}", std::process::id());
    let config = format!(
        "[supervice]\nlogfile = none\npidfile = none\nsocket = {name}\ndefault_output = console\n\
         [program:init]\ncommand = /supervice --init -- /supervice --demo-server 127.0.0.1:0\nstartsecs = 0\n\
         healthcheck_type = script\nhealthcheck_command = true\nhealthcheck_start_period = 1000\n"
    );
    let dir = tempfile::tempdir().expect("a directory");
    for binary in ["supervice", "supervicectl"] {
        // Not by this process: see `write_executable`.
        let copied = Command::new("cp").arg(binaries.join(binary)).arg(dir.path()).status().expect("cp");
        assert!(copied.success(), "{binary} can be copied");
    }
    std::fs::write(dir.path().join("conf"), config).expect("a file");
    let Some(options) = super::harness::unshare_options() else { return };
    let mut command = Command::new("unshare");
    command.args(options.iter().filter(|option| **option != "--mount-proc")).arg("--root").arg(dir.path());
    command.args(["/supervice", "-n", "-c", "/conf"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("unshare");
    let health = || {
        let mut command = Command::new("chroot");
        command.arg(dir.path()).args(["/supervicectl", "-s", &name, "health", "--ready"]);
        outcome(command)
    };
    let begin = Instant::now();
    wait_for("it is well", || {
        let (code, out, errors) = health();
        assert!(begin.elapsed() < ALMOST, "{out}{errors}");
        (code == 0).then_some(())
    });
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).expect("/proc");
    super::harness::raw_kill(children.trim().parse().expect("a pid"), 15);
    let status = wait_for("it ends", || child.try_wait().expect("waitpid"));
    assert_eq!(status.code(), Some(0));
}
