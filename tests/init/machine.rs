//! The init of a machine: an emulated one, with a real kernel, an initramfs that holds the static binary and
//! a static busybox, and no disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{SUPERVICE, as_pid_1, outcome};
use super::packaging::{skip, static_binaries};

/// A boot takes some ten seconds without hardware support.
const BOOT: Duration = Duration::from_secs(600);

/// An archive in the form that the kernel unpacks.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.files += 1;
        let size = u32::try_from(content.len()).expect("it is small");
        let name_size = u32::try_from(name.len() + 1).expect("it is short");
        let fields = [self.files, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.add(name, 0o100_755, (0, 0), content);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), b"");
        self.bytes
    }
}

fn kernel() -> Option<PathBuf> {
    let named = std::env::var_os("SUPERVICE_TEST_KERNEL").map(PathBuf::from);
    let images = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
    };
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kernel/boot");
    named.or_else(|| images(own).next()).or_else(|| images(PathBuf::from("/boot")).next())
}

/// What everything that a boot needs is.
struct Machine {
    kernel: PathBuf,
    binaries: PathBuf,
    busybox: Vec<u8>,
}

impl Machine {
    fn new() -> Option<Machine> {
        let emulator = Command::new("qemu-system-x86_64").arg("--version").stdout(Stdio::null()).status();
        if !emulator.is_ok_and(|status| status.success()) {
            skip("qemu-system-x86_64 is not installed");
            return None;
        }
        let Some(kernel) = kernel() else {
            skip("no kernel: SUPERVICE_TEST_KERNEL names none, and there is none in target/kernel/boot or /boot");
            return None;
        };
        let Ok(busybox) = std::fs::read("/bin/busybox") else {
            skip("busybox-static is not installed");
            return None;
        };
        Some(Machine { kernel, binaries: static_binaries()?, busybox })
    }

    /// Boots with this configuration and script until the emulator ends or `last` stands on the console; all that was
    /// written there.
    fn boot(&self, config: &str, script: &str, last: &str) -> String {
        let mut archive = Archive::default();
        for dir in ["bin", "dev", "etc"] {
            archive.add(dir, 0o040_755, (0, 0), b"");
        }
        archive.add("dev/console", 0o020_600, (5, 1), b"");
        archive.file("bin/busybox", &self.busybox);
        for name in ["sh", "sleep", "cut", "tr", "setsid", "kill", "true"] {
            archive.add(&format!("bin/{name}"), 0o120_777, (0, 0), b"busybox");
        }
        for name in ["supervice", "supervicectl"] {
            archive.file(&format!("bin/{name}"), &std::fs::read(self.binaries.join(name)).expect("a binary"));
        }
        archive.file("etc/supervice.conf", config.as_bytes());
        archive.file("test.sh", script.as_bytes());
        let dir = tempfile::tempdir().expect("a directory");
        let image = dir.path().join("initramfs");
        std::fs::write(&image, archive.finish()).expect("a file");
        let image = image.display().to_string();
        self.emulate(&dir, &["-initrd", &image], "rdinit=/bin/supervice", last)
    }

    /// As `boot`, from a disk with this image of a root.
    fn boot_disk(&self, dir: &tempfile::TempDir, image: &Path, last: &str) -> String {
        let drive = format!("file={},if=none,id=disk,format=raw", image.display());
        let append = "root=/dev/nvme0n1 rootwait rw init=/bin/supervice";
        self.emulate(dir, &["-drive", &drive, "-device", "nvme,serial=1,drive=disk"], append, last)
    }

    fn emulate(&self, dir: &tempfile::TempDir, devices: &[&str], append: &str, last: &str) -> String {
        let log = dir.path().join("console");
        let file = std::fs::File::create(&log).expect("a file");
        let mut emulator = Command::new("qemu-system-x86_64")
            .args(["-M", "pc", "-m", "256", "-display", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none"])
            .args(["-nic", "none", "-kernel"])
            .arg(&self.kernel)
            .args(devices)
            .args([
                "-append",
                &format!("console=ttyS0 quiet panic=-1 {append} -- --system-init -c /etc/supervice.conf"),
            ])
            .stdin(Stdio::null())
            .stdout(file)
            .spawn()
            .expect("qemu");
        let begin = Instant::now();
        let read = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
        loop {
            let ended = emulator.try_wait().expect("waitpid").is_some();
            let text = read();
            if ended || text.contains(last) || begin.elapsed() > BOOT {
                // What the kernel does after its last line takes a moment.
                let _ = emulator.kill();
                let _ = emulator.wait();
                return text;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const CONFIG: &str = "[supervice]\nlogfile = none\npidfile = none\nsocket = /run/supervice.sock\ndefault_output = console\n\
    [program:service]\ncommand = /bin/sh -c \"trap 'echo it stops;exit' TERM;>/run/up;while :;do sleep 0.1;done\"\nstartsecs = 0\n\
    [program:test]\ncommand = /bin/sh /test.sh\nstartsecs = 0\nautorestart = false\n";

/// Before that the service's shell has no trap, and would die of the signal without a word.
const SERVICE_IS_UP: &str = "until [ -e /run/up ]; do sleep 0.1; done\n";

#[test]
fn a_machine_boots_runs_and_turns_itself_off() {
    let Some(machine) = Machine::new() else { return };
    let script = "echo places: $(cut -d' ' -f2 /proc/mounts)\n\
                  [ -c /dev/pts/ptmx ] && [ -c /dev/null ] && [ -d /sys/kernel ] && echo devices are there\n\
                  echo init is $(cut -d' ' -f1 /proc/1/stat), console $(cut -d: -f1 /proc/consoles | tr '\\n' ' ')\n\
                  (setsid sh -c \"trap 'echo the orphan stops >/dev/console' TERM; while :; do sleep 0.1; done\" &)\n\
                  supervicectl -s /run/supervice.sock health --ready && echo all is well\n\
                  supervicectl -s /run/supervice.sock poweroff\nsleep 100\n";
    let console = machine.boot(CONFIG, &format!("{SERVICE_IS_UP}{script}"), "reboot: Power down");
    for wanted in [
        "places: / /proc /sys /dev /dev/pts /run",
        "devices are there",
        "init is 1,",
        "healthy: 2 processes",
        "all is well",
        "poweroff: everything is stopped",
        "it stops",
        "the orphan stops",
        "the machine is turned off",
        "reboot: Power down",
    ] {
        assert!(console.contains(wanted), "{wanted:?} is missing:\n{console}");
    }
    assert!(!console.contains("panic") || console.contains("panic=-1"), "{console}");
    assert!(!console.contains("Kernel panic") && !console.contains("cannot"), "{console}");
}

#[test]
fn a_machine_does_what_busybox_users_expect_of_signals() {
    let Some(machine) = Machine::new() else { return };
    for (signal, last) in [
        ("TERM", "reboot: Restarting system"),
        ("INT", "reboot: Restarting system"),
        ("USR1", "reboot: System halted"),
        ("USR2", "reboot: Power down"),
    ] {
        let console = machine.boot(CONFIG, &format!("{SERVICE_IS_UP}kill -{signal} 1\nsleep 100\n"), last);
        assert!(console.contains("it stops") && console.contains(last), "{signal}: {console}");
    }
}

#[test]
fn a_root_on_a_disk_is_left_clean() {
    let Some(machine) = Machine::new() else { return };
    let path = std::env::var("PATH").unwrap_or_default() + ":/sbin:/usr/sbin";
    let tool = |name: &str| {
        let mut command = Command::new(name);
        command.env("PATH", &path);
        command
    };
    if tool("mkfs.ext4").arg("-V").stderr(Stdio::null()).status().is_err() {
        return skip("mkfs.ext4 is not installed");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("root");
    for name in ["bin", "dev", "etc"] {
        std::fs::create_dir_all(root.join(name)).expect("a directory");
    }
    std::fs::write(root.join("bin/busybox"), &machine.busybox).expect("a file");
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).expect("with its mode");
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).expect("a link");
    std::os::unix::fs::symlink("busybox", root.join("bin/sleep")).expect("a link");
    for name in ["supervice", "supervicectl"] {
        std::fs::copy(machine.binaries.join(name), root.join("bin").join(name)).expect("a binary");
    }
    std::fs::write(root.join("etc/supervice.conf"), CONFIG).expect("a file");
    let script =
        "echo kept >/written\nexec 5>/open-for-writing\nsupervicectl -s /run/supervice.sock poweroff\nsleep 100\n";
    std::fs::write(root.join("test.sh"), script).expect("a file");
    let image = dir.path().join("disk");
    let made = tool("mkfs.ext4").args(["-q", "-d"]).arg(&root).arg(&image).arg("48M").status().expect("mkfs.ext4");
    assert!(made.success());
    let console = machine.boot_disk(&dir, &image, "reboot: Power down");
    assert!(console.contains("reboot: Power down") && !console.contains("cannot"), "{console}");
    let state = tool("dumpe2fs").arg("-h").arg(&image).output().expect("dumpe2fs");
    let state = String::from_utf8_lossy(&state.stdout).into_owned();
    assert!(!state.contains("needs_recovery") && state.contains("clean"), "{state}\n{console}");
    assert!(tool("e2fsck").arg("-fn").arg(&image).status().expect("e2fsck").success());
    let kept = tool("debugfs").args(["-R", "cat /written"]).arg(&image).output().expect("debugfs");
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "kept\n");
}

#[test]
fn a_machine_with_a_broken_configuration_says_so_and_stays() {
    let Some(machine) = Machine::new() else { return };
    let console = machine.boot("[program:x]\n", "", "Nothing is run");
    assert!(console.contains("command") && !console.contains("Kernel panic"), "{console}");
}

#[test]
fn in_a_container_nothing_is_mounted_or_turned_off() {
    let mut command = Command::new(SUPERVICE);
    command.args(["--system-init", "-c", "/missing"]);
    let (code, _, errors) = outcome(command);
    assert!(code == 1 && errors.contains("this is not PID 1; nothing was done"), "{errors}");
    // As PID 1 of a namespace, with and without /proc.
    for script in ["", "umount -l /proc;"] {
        let script = format!("{script} exec \"$0\" --system-init -c /missing");
        let args = ["--", "unshare", "--mount", "sh", "-c", &script, SUPERVICE];
        let Some(_) = as_pid_1("supervice", &args) else { return };
        let mut command = Command::new("unshare");
        command.args(super::harness::unshare_options().unwrap_or_default()).args(&args[1..]);
        let (code, _, errors) = outcome(command);
        assert!(code == 1 && errors.contains("nothing was done"), "{errors}");
    }
}
