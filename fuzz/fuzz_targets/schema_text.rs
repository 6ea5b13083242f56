#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    forebay_fuzz::schema_text::run(data);
});
