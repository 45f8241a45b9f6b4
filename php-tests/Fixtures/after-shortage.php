<?php

declare(strict_types=1);

/* Memory runs out while the replies of a pipeline are built; a shutdown function then uses the same objects. */

$redis = new ResilientRedis($argv[1]);
$pipeline = $redis->pipeline()->incr('n');
for ($i = 0; $i < 20; $i++) {
    $pipeline->get('huge');
}
register_shutdown_function(static function () use ($redis, $pipeline): void {
    ini_set('memory_limit', '-1');
    echo json_encode([count($pipeline->ping()), array_slice($pipeline->execute(), 1), $redis->get('n')]);
});
ini_set('display_errors', '1');
$pipeline->execute();
