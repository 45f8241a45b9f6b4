<?php
use ResilientRedis as Client;
use ResilientRedis\ConnectionException;
// ElastiCache Cluster Endpoint (e.g., my-redis-cluster.xxxxxx.ng.0001.use1.cache.amazonaws.com)
$redisEndpoint = getenv('REDIS_ENDPOINT');
$redisPort = getenv('REDIS_PORT') ?: 6379;
$options = [
    'cluster' => 'redis', // Use 'redis' for non-cluster mode, 'predis' for cluster mode
    'parameters' => [
        'scheme' => 'tcp',
        'host' => $redisEndpoint,
        'port' => $redisPort,
        // Add authentication if using Redis AUTH
        // 'password' => getenv('REDIS_PASSWORD'),
    ],
    'connections' => [
        'tcp' => [
            'connection_timeout' => 2.5, // Shorter timeout for faster detection
            'read_write_timeout' => 2.5,
        ],
    ],
    'replication' => true, // Enable replication mode for failover detection
    'read_write_timeout' => 5, // General timeout for commands
];
$redis = null;
function getRedisClient(array $options, &$redis): ?Client {
    if ($redis === null) {
        try {
            // Predis will automatically connect to the primary if replication is enabled
            // and the cluster endpoint resolves correctly.
            $redis = new Client($options['parameters']['host'] . ':' . $options['parameters']['port'], $options);
            $redis->connect(); // Explicitly connect to trigger initial connection
            error_log("Successfully connected to Redis.");
        } catch (ConnectionException $e) {
            error_log("Failed to connect to Redis: " . $e->getMessage());
            return null;
        }
    }
    return $redis;
}
// --- Usage Example ---
$redis = getRedisClient($options, $redis);
if ($redis) {
    try {
        // Set a value
        $redis->set('mykey', 'myvalue', 'EX', 60); // Set with expiration
        echo "Set 'mykey' successfully.\n";
        // Get a value
        $value = $redis->get('mykey');
        echo "Got 'mykey': " . $value . "\n";
        // Example of a command that might fail during failover
        // If a failover happens, the next command might throw a ConnectionException
        // The getRedisClient function (or a wrapper around it) would then be called again
        // to re-establish the connection to the new primary.
    } catch (ConnectionException $e) {
        error_log("Redis operation failed: " . $e->getMessage());
        // Reset the client to force reconnection on next attempt
        $redis = null;
        // Implement retry logic here if needed
    } catch (\Exception $e) {
        error_log("An unexpected error occurred: " . $e->getMessage());
    }
} else {
    echo "Could not establish Redis connection.\n";
}
?>
