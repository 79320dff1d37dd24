//! A window of the same toolkit with nothing in it: what `cargo xtask bench`
//! measures ours against. It is not shipped.

fn main() -> tauri::Result<()> {
    tauri::Builder::default().run(tauri::generate_context!("examples/empty/tauri.conf.json"))
}
