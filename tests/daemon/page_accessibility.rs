//! The web page for everybody: who does not see it, who has a keyboard alone, who needs contrast.

use crate::browser::{Accessible, Browser, DOWN, ENTER, ESCAPE, RIGHT, SPACE, TAB};
use crate::harness::word_in;
use crate::page::{TOASTS, row, serve, state};

/// In place of a screen reader: what the browser tells one.
#[test]
fn who_does_not_see_the_page_is_told_the_same() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\n\
         [program:bad]\ncommand = sh -c 'exit 3'\nstartsecs = 60\nstartretries = 0\nautostart = false\n\
         [program:one]\ncommand = sleep 1000\nstartsecs = 0\n[group:both]\nprograms = one\n",
    );
    let is_named = |part: &Accessible| {
        let needs =
            ["button", "link", "searchbox", "textbox", "combobox", "tab", "table", "dialog", "tabpanel", "region"];
        !needs.contains(&part.role.as_str()) || !part.name.trim().is_empty()
    };
    let find = |role: &str, name: &str| {
        let tree = browser.accessible();
        let unnamed: Vec<_> = tree.iter().filter(|part| !is_named(part)).collect();
        assert!(unnamed.is_empty(), "without a name: {unnamed:#?}");
        let found = tree.into_iter().find(|part| part.role == role && part.name == name);
        found.unwrap_or_else(|| {
            let told: Vec<_> = browser.accessible().into_iter().map(|part| (part.role, part.name)).collect();
            panic!("no {role} is called {name:?}: {told:#?}")
        })
    };
    browser.open(&page);
    browser.wait(&format!("{} === 'RUNNING'", state("web")));
    for (role, name) in [
        ("navigation", "View"),
        ("region", "Programs"),
        ("table", "Programs"),
        ("searchbox", "Filter the programs"),
        ("group", "Show only these states"),
        ("link", "Skip to the programs"),
        ("columnheader", "State"),
        ("columnheader", "Actions"),
        ("cell", "RUNNING"),
        ("link", "web"),
        ("button", "Restart web"),
        ("button", "Start bad"),
        ("button", "Stop all 1 of both"),
    ] {
        find(role, name);
    }
    assert!(find("link", "Programs").has("focusable", true));
    assert!(find("button", "both").has("expanded", true), "the group is unfolded");
    for role in ["banner", "main"] {
        assert_eq!(browser.accessible().iter().filter(|part| part.role == role).count(), 1, "{role}");
    }
    // Sorting is told, and so is which states are shown.
    browser.click("[data-sort=name]");
    browser.wait("document.querySelector('[aria-sort]')?.getAttribute('aria-sort') === 'ascending'");
    browser.click("button.chip[data-state=RUNNING]");
    let chip = browser.accessible().into_iter().find(|part| part.role == "button" && part.name.starts_with("RUNNING"));
    assert!(chip.is_some_and(|chip| chip.has("pressed", "true")));
    browser.click("button.chip[data-state=RUNNING]");
    // What has failed is said at once, and that a program has is said when there is time.
    browser.click("[aria-label='Start bad']");
    browser.wait(&format!("{TOASTS}.includes('exit code 3')"));
    let alert = browser.accessible().into_iter().find(|part| part.role == "alert");
    assert!(alert.is_some_and(|alert| alert.has("live", "assertive")), "the error is an alert");
    browser.wait("document.getElementById('live').textContent === 'bad is FATAL'");
    assert!(browser.accessible().iter().any(|part| part.has("live", "polite")));
    find("button", "Dismiss this message");
    // One program: its parts are tabs.
    browser.click("a.name[href='#/program/bad']");
    browser.wait("document.querySelector('#program [role=tabpanel] .lead')");
    find("region", "bad");
    find("tablist", "About this program");
    find("tabpanel", "Why");
    assert!(find("tab", "Why").has("selected", true));
    find("heading", "bad");
    browser.open(&format!("{page}#/program/web"));
    browser.click("[data-verb=pause]");
    browser.wait("document.querySelector('#program .state').textContent === 'RUNNING, paused'");
    browser.click("[data-verb=resume]");
    browser.wait("document.querySelector('#program .state').textContent === 'RUNNING'");
    // A question holds the rest of the page back, and tells what it is about.
    browser.click("#daemon-menu summary");
    browser.click("[data-act=stop-all]");
    browser.wait("document.getElementById('confirm').open");
    let dialog = find("dialog", "Stop all programs?");
    assert!(dialog.has("modal", true) && dialog.description.contains("will be stopped"), "{dialog:?}");
    browser.keys(&[ESCAPE]);
    browser.assert_content();
    daemon.terminate();
}

#[test]
fn the_keyboard_alone_is_enough() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:one]\ncommand = sleep 1000\nstartsecs = 0\n[program:two]\ncommand = sleep 1000\nstartsecs = 0\n\
         [group:both]\nprograms = one, two\n",
    );
    browser.open(&page);
    browser.wait(&format!("{} === 'RUNNING'", state("two")));
    let focus = || {
        browser.text("(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()")
    };
    // The first stop leads past the bar; whatever is reached is to be seen.
    browser.keys(&[TAB]);
    assert_eq!(focus(), "Skip to the programs");
    browser.keys(&["/"]);
    assert_eq!(browser.text("document.activeElement.id"), "filter");
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.keys(&[TAB]);
        reached.push(focus());
        if reached.last().is_some_and(|name| name == "Stop two") {
            break;
        }
        let outlined = browser.value("getComputedStyle(document.activeElement).outlineStyle !== 'none'");
        assert_eq!(outlined, true, "{reached:?}");
    }
    for wanted in ["both", "Stop all 2 of both", "one", "Restart one", "Stop one", "two", "Stop two"] {
        assert!(reached.iter().any(|name| name == wanted), "{wanted} in {reached:?}");
    }
    browser.keys(&[ENTER]);
    browser.wait(&format!("{} === 'STOPPED'", state("two")));
    assert_eq!(daemon.status("two").state, "STOPPED");
    // It is still there, and starts now.
    assert_eq!(focus(), "Start two");
    browser.keys(&[SPACE]);
    browser.wait(&format!("{} === 'RUNNING'", state("two")));
    // Arrows lead along the names; a program opens, its tabs turn, Escape leads back.
    browser.value("document.querySelector('.fold').focus()");
    browser.keys(&[DOWN]);
    assert_eq!(focus(), "one");
    browser.keys(&[DOWN]);
    assert_eq!(focus(), "two");
    browser.keys(&[ENTER]);
    browser.wait("document.activeElement.id === 'program-name'");
    browser.value("document.getElementById('tab-why').focus()");
    browser.keys(&[RIGHT]);
    browser.wait("document.activeElement.id === 'tab-history' && document.querySelector('.history li')");
    browser.keys(&[ESCAPE]);
    browser.wait("document.getElementById('program').hidden");
    browser.wait("document.activeElement.textContent === 'two'");
    // Everything that can be operated has a name.
    let nameless = browser.value(
        "[...document.querySelectorAll('button, a, input, select, summary')].filter((one) => one.checkVisibility() && \
         !(one.getAttribute('aria-label') ?? '').trim() && !one.textContent.trim() && !(one.labels?.[0]?.textContent ?? '').trim()).length",
    );
    assert_eq!(nameless, 0);
    browser.assert_content();
    daemon.terminate();
}

/// The texts in sight whose contrast with what is behind them is below 4.5, of large ones below 3.
const FAINT: &str = r#"(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (color, under) => {
    canvas.clearRect(0, 0, 1, 1);
    if (under) { canvas.fillStyle = `rgb(${under.join()})`; canvas.fillRect(0, 0, 1, 1); }
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return a === 255 ? [r, g, b] : undefined;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(getComputedStyle(at).backgroundColor);
    return layers.reverse().reduce((under, color) => over(color, under) ?? under, [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, noscript, script")) continue;
    const back = behind(element);
    const style = getComputedStyle(element);
    const [a, b] = [light(over(element.closest("svg") ? style.fill : style.color, back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24;
    if (ratio < (isLarge ? 3 : 4.5)) faint.add(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return [...faint];
})()"#;

#[test]
fn every_text_can_be_read_on_what_is_behind_it() {
    let Some(browser) = Browser::start(&[]) else { return };
    let (daemon, page) = serve(
        "[program:web]\ncommand = sleep 1000\nstartsecs = 0\nhealthcheck_type = script\nhealthcheck_command = true\nhealthcheck_interval = 1\n\
         [program:sick]\ncommand = sh -c 'echo oh no >&2; exec sleep 1000'\nstartsecs = 0\nhealthcheck_type = script\n\
         healthcheck_command = false\nhealthcheck_interval = 1\nhealthcheck_retries = 1\nhealthcheck_action = none\n\
         [program:bad]\ncommand = sh -c 'exit 1'\nstartsecs = 60\nstartretries = 0\n\
         [program:again]\ncommand = sh -c 'exit 1'\nstartsecs = 60\nstartretries = 100\n\
         [program:needy]\ncommand = sleep 1000\nrequires = again\n\
         [program:stubborn]\ncommand = sh -c 'trap \"\" TERM; echo deaf > DIR/deaf; while :; do sleep 1; done'\nstartsecs = 0\nstopwaitsecs = 1000\n\
         [program:done]\ncommand = true\ntype = oneshot\n[program:off]\ncommand = true\nautostart = false\n\
         [group:some]\nprograms = web, sick\n",
    );
    word_in(&daemon.path("deaf"));
    let stopping = std::process::Command::new(env!("CARGO_BIN_EXE_supervicectl"))
        .arg("-s")
        .arg(daemon.path("ctl.sock"))
        .args(["stop", "--no-wait", "stubborn"])
        .output();
    assert!(stopping.expect("it starts").status.success());
    browser.open(&page);
    for (name, wanted) in [
        ("web", "RUNNING"),
        ("sick", "UNHEALTHY"),
        ("bad", "FATAL"),
        ("again", "BACKOFF"),
        ("needy", "STARTING"),
        ("stubborn", "STOPPING"),
        ("done", "EXITED"),
        ("off", "STOPPED"),
    ] {
        browser.wait(&format!("{} === '{wanted}'", state(name)));
    }
    browser.wait(&format!("{}.querySelector('.health').textContent === 'healthy'", row("web")));
    browser.click("[aria-label='Start bad']");
    browser.wait("document.querySelector('.toast.error')");
    browser.value("document.getElementById('daemon-menu').open = true");
    for path in [
        "#/program/sick/why",
        "#/program/sick/history",
        "#/program/sick/log",
        "#/program/needy/needs",
        "#/graph",
        "#/program/again",
    ] {
        browser.open(&format!("{page}{path}"));
        browser.wait("document.querySelector(location.hash === '#/graph' ? '.node' : '.lead, .history li, .log-tools, .needs li')");
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            let faint = browser.value(FAINT);
            assert_eq!(faint, serde_json::json!([]), "{path}, {scheme}");
        }
    }
    browser.assert_content();
    let pid = daemon.status("stubborn").pid.expect("it stops");
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    daemon.terminate();
}
