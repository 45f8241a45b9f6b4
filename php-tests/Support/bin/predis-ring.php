<?php

declare(strict_types=1);

/*
 * The real Predis over several servers, in a process of its own: it knows nothing of our classes, and old versions of it
 * trigger deprecations. Takes a file with a serialised task, and writes the serialised answer to standard output.
 */

error_reporting(E_ALL & ~E_DEPRECATED);
require '/usr/share/php/Predis/Autoloader.php';
Predis\Autoloader::register();

['nodes' => $nodes, 'options' => $options, 'keys' => $keys, 'do' => $do] = unserialize((string) file_get_contents($argv[1]));
$client = new Predis\Client($nodes, $options);

$answer = [];
foreach (array_chunk($keys, 500) as $chunk) {
    if ($do === 'place') {
        foreach ($chunk as $key) {
            $answer[] = (string) $client->getConnection()->getConnectionByKey($key);
        }
        continue;
    }
    $replies = $client->pipeline(static function ($pipeline) use ($chunk, $do): void {
        foreach ($chunk as $key) {
            $do === 'write' ? $pipeline->set($key, 'of Predis: ' . md5($key)) : $pipeline->get($key);
        }
    });
    array_push($answer, ...array_map(static fn ($reply) => $reply === null ? null : (string) $reply, $replies));
}
echo serialize($answer);
