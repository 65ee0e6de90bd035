/*
 * What the sanitizers are to do in programs that web servers start, and to which no environment can
 * be passed: write reports into files. Leaks are looked for by the unit tests and by valgrind, as
 * LeakSanitizer cannot work in a program that is traced.
 */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return "log_path=" REPORTS "/report:detect_leaks=0:allocator_may_return_null=1";
}

const char *__ubsan_default_options(void)
{
    return "log_path=" REPORTS "/report:print_stacktrace=1";
}
