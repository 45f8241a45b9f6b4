<?php

declare(strict_types=1);

namespace Benches;

/**
 * What the PHP clients do, by operation: closures that do it a number of times. The loop stands inside, so that nothing but
 * the client's own method is called each time. Where the clients are called alike, they share the closure.
 */
final class Loops
{
    private const VALUE = 'vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv';

    public static function connect(string $client, Place $place): object
    {
        switch ($client) {
            case 'resilient':
                return new \ResilientRedis($place->parameters());
            case 'phpredis':
                $redis = new \Redis();
                $redis->connect(...$place->ofPhpRedis());

                return $redis;
            case 'predis':
                require_once 'Predis/Autoloader.php';
                \Predis\Autoloader::register();

                return new \Predis\Client($place->parameters());
            default:
                throw new \LogicException("there is no client $client");
        }
    }

    /** @return \Closure(int): void */
    public static function of(string $operation, string $client, object $redis): \Closure
    {
        [$kind, $size] = explode('-', $operation) + [1 => ''];

        return match ($kind) {
            'get' => self::get($redis, $operation),
            'spread' => self::spread($redis, (int) $size),
            'set' => static function (int $times) use ($redis): void {
                for ($i = 0; $i < $times; $i++) {
                    $redis->set('written', self::VALUE);
                }
            },
            'incr' => static function (int $times) use ($redis): void {
                for ($i = 0; $i < $times; $i++) {
                    $redis->incr('number');
                }
            },
            'mget' => static function (int $times) use ($redis, $size): void {
                $keys = array_map(static fn (int $i): string => "many:$i", range(1, (int) $size));
                for ($i = 0; $i < $times; $i++) {
                    $redis->mget($keys);
                }
            },
            'hgetall' => static function (int $times) use ($redis, $operation): void {
                for ($i = 0; $i < $times; $i++) {
                    $redis->hgetall($operation);
                }
            },
            'lrange' => static function (int $times) use ($redis, $operation): void {
                for ($i = 0; $i < $times; $i++) {
                    $redis->lrange($operation, 0, -1);
                }
            },
            'zrange' => self::zrange($redis, $operation, $client === 'phpredis' ? true : ['withscores' => true]),
            'xrange' => static function (int $times) use ($redis, $operation): void {
                for ($i = 0; $i < $times; $i++) {
                    $redis->xrange($operation, '-', '+');
                }
            },
            'pipeline' => $client === 'phpredis' ? self::pipelineOfPhpRedis($redis, (int) $size) : self::pipeline($redis, (int) $size),
            'transaction' => $client === 'phpredis' ? self::transactionOfPhpRedis($redis) : self::transaction($redis),
        };
    }

    private static function get(object $redis, string $key): \Closure
    {
        return static function (int $times) use ($redis, $key): void {
            for ($i = 0; $i < $times; $i++) {
                $redis->get($key);
            }
        };
    }

    /** Keys in different slots, one after the other. */
    private static function spread(object $redis, int $count): \Closure
    {
        return static function (int $times) use ($redis, $count): void {
            for ($i = 0; $i < $times; $i++) {
                for ($j = 0; $j < $count; $j++) {
                    $redis->get("key:$j");
                }
            }
        };
    }

    private static function zrange(object $redis, string $key, mixed $withScores): \Closure
    {
        return static function (int $times) use ($redis, $key, $withScores): void {
            for ($i = 0; $i < $times; $i++) {
                $redis->zrange($key, 0, -1, $withScores);
            }
        };
    }

    private static function pipeline(object $redis, int $size): \Closure
    {
        return static function (int $times) use ($redis, $size): void {
            for ($i = 0; $i < $times; $i++) {
                $pipe = $redis->pipeline();
                for ($j = 0; $j < $size; $j++) {
                    $pipe->get('get-32');
                }
                $pipe->execute();
            }
        };
    }

    private static function pipelineOfPhpRedis(\Redis $redis, int $size): \Closure
    {
        return static function (int $times) use ($redis, $size): void {
            for ($i = 0; $i < $times; $i++) {
                $pipe = $redis->multi(\Redis::PIPELINE);
                for ($j = 0; $j < $size; $j++) {
                    $pipe->get('get-32');
                }
                $pipe->exec();
            }
        };
    }

    private static function transaction(object $redis): \Closure
    {
        return static function (int $times) use ($redis): void {
            for ($i = 0; $i < $times; $i++) {
                $unit = $redis->transaction();
                $unit->get('get-32');
                $unit->set('written', self::VALUE);
                $unit->incr('number');
                $unit->execute();
            }
        };
    }

    private static function transactionOfPhpRedis(\Redis $redis): \Closure
    {
        return static function (int $times) use ($redis): void {
            for ($i = 0; $i < $times; $i++) {
                $unit = $redis->multi();
                $unit->get('get-32');
                $unit->set('written', self::VALUE);
                $unit->incr('number');
                $unit->exec();
            }
        };
    }
}
