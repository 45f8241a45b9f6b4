<?php

declare(strict_types=1);

/*
 * The failover demo: a primary and two replicas, real servers on loopback, and a program that goes on while the primary
 * is killed (act one) and while the roles are exchanged by plan (act two).
 *
 *     make demo
 *
 * Exit code 0: both acts clear their bars. 1: they do not, or the play could not be given. 130: interrupted.
 */

use Tests\Support\Extension;

require dirname(__DIR__, 2) . '/php-tests/Support/autoload.php';
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'FailoverDemo\\')) {
        require __DIR__ . '/' . substr($class, strlen('FailoverDemo\\')) . '.php';
    }
});

// exit() runs the shutdown functions, which end every server and remove every scratch folder.
pcntl_async_signals(true);
foreach ([SIGINT, SIGTERM, SIGHUP] as $signal) {
    pcntl_signal($signal, static function () use ($signal): never {
        fwrite(STDERR, "\ninterrupted; everything is taken down\n");
        exit(128 + $signal);
    });
}

try {
    $result = (new FailoverDemo\Play(Extension::php(__DIR__ . '/workload.php')))->run();
} catch (Throwable $failure) {
    fwrite(STDERR, "\nthe demo failed: {$failure->getMessage()}\n");
    exit(1);
}

$result->print();

$project = dirname(__DIR__, 2);
$picture = 'build/failover-timeline.html';
if (!is_dir("$project/build")) {
    mkdir("$project/build");
}
file_put_contents("$project/$picture", (new FailoverDemo\Page($result))->html());
echo "\nThe same as a picture: $picture\n";

exit($result->broken() === [] ? 0 : 1);
