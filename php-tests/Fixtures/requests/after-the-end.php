<?php

declare(strict_types=1);

/* A client that is used when the script is over: by a shutdown function, and by a destructor. */

final class CountsItsEnd
{
    private static ?self $kept = null;

    public function __construct(private readonly ResilientRedis $redis)
    {
        self::$kept = $this;
    }

    public function __destruct()
    {
        $this->redis->incr('destructors');
    }
}

$redis = new ResilientRedis($_GET['endpoint']);
$redis->ping();
new CountsItsEnd($redis);
register_shutdown_function(static fn () => $redis->incr('shutdown functions'));
echo 'done';
