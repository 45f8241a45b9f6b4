<?php

declare(strict_types=1);

/* fork.php ENDPOINT: parent and child use the client that the parent had opened, both at once. */

$redis = new ResilientRedis($argv[1]);
$redis->mset(['fork:parent' => 'parent', 'fork:child' => 'child']);

$child = pcntl_fork();
$me = $child === 0 ? 'child' : 'parent';
$right = $wrong = 0;
for ($i = 0; $i < 1_000; $i++) {
    $redis->get("fork:$me") === $me ? $right++ : $wrong++;
    $redis->echo("$me $i") === "$me $i" ? $right++ : $wrong++;
}
$line = "$me: $right right, $wrong wrong\n";
if ($child === 0) {
    $redis->set('fork:line', $line);
    exit(0);
}
pcntl_waitpid($child, $status);
echo $line, $redis->get('fork:line');
