<?php

declare(strict_types=1);

/* probe.php VERSION SOCKET: run by the PHP of a layer; fails unless the extension is there and works. */

[, $version, $socket] = $argv;
$fail = static function (string $what): never {
    fwrite(STDERR, "$what\n");
    exit(1);
};
str_starts_with(PHP_VERSION, "$version.") || $fail('this is PHP ' . PHP_VERSION);
extension_loaded('resilient_redis') || $fail('the extension is not loaded');
$said = ['loaded'];
if ($socket !== '') {
    $redis = new ResilientRedis("unix:$socket");
    $redis->set('greeting', 'hello', 'EX', 60) === 'OK' && $redis->get('greeting') === 'hello' || $fail('SET and GET do not work');
    $redis->pipeline()->incr('n')->incr('n')->execute() === [1, 2] || $fail('a pipeline does not work');
    $said[] = 'talks to a server';
}
printf("PHP %s on %s: %s\n", PHP_VERSION, php_uname('m'), implode(', ', $said));
