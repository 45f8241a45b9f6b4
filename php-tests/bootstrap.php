<?php

declare(strict_types=1);

require __DIR__ . '/Support/autoload.php';

if (!extension_loaded(Tests\Support\Extension::NAME)) {
    fwrite(STDERR, "The extension is not loaded, and nothing can be tested. Run `make php-tests`.\n");
    exit(1);
}

// exit() runs the shutdown functions, which end every server and remove every scratch folder.
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    pcntl_signal($signal, static function () use ($signal): never {
        fwrite(STDERR, "\ninterrupted; servers are taken down\n");
        exit(128 + $signal);
    });
}
